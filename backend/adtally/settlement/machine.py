"""The log as a state machine: entries in, verdicts, accruals and statements out.

This is the plain reference. Intake runs it to give verdicts, recovery runs it to come back,
attestors and auditors run it to check; all of them see the same state at the same tree size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import ne
from typing import NoReturn

from adtally.errors import AdtallyError, Conflict, NotAllowed, VerificationFailed
from adtally.events.batch import ENVELOPE_KIND, Envelope, SignedBatch, check_batch_header
from adtally.events.correction import Correction
from adtally.events.eip712 import log_domain
from adtally.events.facts import (
    ChainFacts,
    Declaration,
    RulesFacts,
    TimeFacts,
)
from adtally.events.record import (
    RECORD_KIND,
    AdEvent,
    set_verdict,
)
from adtally.events.verdict import Verdict, Verdicts
from adtally.settlement.corrections import Corrections, Leaves
from adtally.settlement.engine import AccrualBooks, Engine, EngineDump, PlainEngine
from adtally.settlement.statement import build_statement
from adtally.types import Hash, Line, LogIdentity, Statement
from adtally.verification.fact_state import FactState, MemberFacts
from adtally.verification.rule_set import RuleSet

FactsEntry = ChainFacts | Declaration | RulesFacts | TimeFacts | Correction
"""Everything the operator enters, one entry at a time."""


@dataclass(slots=True)
class OpenBatch:
    """An envelope whose records are still being replayed."""

    envelope: Envelope
    records: list[bytes]


@dataclass(frozen=True, slots=True)
class MachineDump:
    """What ``LogMachine.dump`` gives."""

    size: int
    last_received_at_ms: int
    next_sequence: Mapping[int, int]
    engine: EngineDump


class LogMachine:
    """Applies entries in log order.

    Args:
        identity: what the log's signatures are bound to.
        escrow_domain: EIP-712 domain separator of the escrow, part of every line's leaf.
        verify_signatures: False only while the operator replays its own log, whose bytes are
            protected by CRC and by the checkpoints given out; ``require_signatures`` ends it.
        leaves: leaf hashes of the same log, never behind by more than what can't be corrected
            yet; without them every correction is refused.
        engine: makes what judges and books; by default the plain reference.
    """

    def __init__(
        self,
        identity: LogIdentity,
        escrow_domain: Hash,
        *,
        verify_signatures: bool = True,
        leaves: Leaves | None = None,
        engine: Callable[[FactState], Engine] = PlainEngine,
    ) -> None:
        self.identity = identity
        self.leaves = leaves
        self.size = 0
        self.last_received_at_ms = 0
        self.rules: RuleSet | None = None
        self.facts = FactState()
        self._domain = log_domain(identity)
        self._escrow_domain = escrow_domain
        self._engine = engine(self.facts)
        self.corrections = Corrections(self.facts, self._engine)
        self._next_sequence: dict[int, int] = {}
        self._verify_signatures = verify_signatures
        self._open: OpenBatch | None = None

    @property
    def accruals(self) -> AccrualBooks:
        """What campaigns owe over everything applied so far."""
        return self._engine.accruals

    def require_signatures(self) -> None:
        """From now on verify every batch's signature."""
        self._verify_signatures = True

    # Replay ------------------------------------------------------------------------------------

    def apply(self, entry: bytes) -> None:
        """Take in the next logged entry and check that it could only have been logged so.

        Raises:
            VerificationFailed: a verdict, signature, sequence or time is not what the entries
                before it demand; ``field`` says which, with the leaf index.
            InvalidInput: the entry's bytes don't parse.
        """
        try:
            kind = entry[0] if entry else -1
            if self._open is not None or kind == RECORD_KIND:
                self._apply_record(entry)
            elif kind == ENVELOPE_KIND:
                self._open = self._opened(Envelope.from_entry(entry))
            else:
                self.apply_facts(parse_facts(entry))
                return
            self.size += 1
        except AdtallyError as error:
            error.message = f"entry {self.size}: {error.message}"
            raise

    def apply_batch(self, envelope: bytes, records: Sequence[bytes]) -> None:
        """Take in an envelope and all of its records at once; raises as ``apply``."""
        self.apply(envelope)
        try:
            if self._open is None or self._open.envelope.count != len(records):
                raise VerificationFailed(
                    "not a whole batch",
                    field="count",
                    expected="as many records as the envelope says",
                    found=f"{len(records)} records",
                )
            envelope_read, self._open = self._open.envelope, None
            self.size += len(records) - 1
            self._close(envelope_read, records)
            self.size += 1
        except AdtallyError as error:
            error.message = f"entry {self.size}: {error.message}"
            raise

    def _opened(self, envelope: Envelope) -> OpenBatch:
        check_batch_header(envelope.member, envelope.sequence, envelope.count)
        self._check_time(envelope.received_at_ms)
        return OpenBatch(envelope, [])

    def _apply_record(self, record: bytes) -> None:
        if self._open is None:
            raise VerificationFailed(
                "a record outside a batch", field="record", expected="an envelope before it"
            )
        AdEvent.from_record(record)
        self._open.records.append(record)
        if len(self._open.records) == self._open.envelope.count:
            batch, self._open = self._open, None
            self._close(batch.envelope, batch.records)

    def _close(self, envelope: Envelope, records: Sequence[bytes]) -> None:
        signed = SignedBatch(
            self.identity.chain_id,
            envelope.member,
            envelope.sequence,
            envelope.signer,
            envelope.signature,
            self._engine.unset(records),
        )
        verdicts = self._take(signed, envelope.received_at_ms)
        logged = self._engine.verdicts(records)
        if verdicts != logged:
            for record in records:
                # Its verdict may be none at all.
                AdEvent.from_record(record)
            self._refuse_verdicts(self.size - envelope.count + 1, verdicts, logged)

    def _refuse_verdicts(self, first: int, verdicts: Verdicts, logged: Verdicts) -> NoReturn:
        offset = next(at for at, pair in enumerate(zip(verdicts, logged, strict=True)) if ne(*pair))
        raise VerificationFailed(
            f"the verdict of the record at index {first + offset} is wrong",
            field="verdict",
            expected=verdicts[offset].label,
            found=logged[offset].label,
        )

    def require_complete(self) -> None:
        """Check that the entries so far don't end inside a batch or a range of chain facts.

        Raises:
            VerificationFailed: they do; no honest checkpoint or statement has this size.
        """
        if self._open is not None or self.facts.is_range_open:
            raise VerificationFailed(
                f"the log is cut inside a batch or a range of facts at size {self.size}",
                field="tree_size",
                expected="the end of a group commit",
                found=str(self.size),
            )

    # Snapshots ---------------------------------------------------------------------------------

    def dump(self) -> MachineDump:
        """All that it knows besides its facts entries."""
        return MachineDump(
            self.size, self.last_received_at_ms, dict(self._next_sequence), self._engine.dump()
        )

    def load(self, dump: MachineDump, entries: Iterable[tuple[int, bytes]]) -> None:
        """Know what a machine knew that had applied the log up to some entry.

        Args:
            dump: what it gave.
            entries: everything up to there that is neither envelope nor record: leaf index and
                bytes.

        Raises:
            VerificationFailed, InvalidInput, NotAllowed: the entries are not those of a log.
            NotFound, Overloaded: the engine can't.
        """
        for index, entry in entries:
            match parse_facts(entry):
                case RulesFacts() as rules:
                    self.rules = RuleSet.from_json(rules.rules_json)
                case ChainFacts() as facts:
                    self.facts.apply_chain(facts)
                case Declaration() as declaration:
                    self.facts.apply_declaration(declaration, self._domain)
                case Correction() as correction:
                    self.corrections.note(correction, index)
        self._engine.load(dump.engine)
        self._next_sequence = dict(dump.next_sequence)
        self.size, self.last_received_at_ms = dump.size, dump.last_received_at_ms

    # Intake ------------------------------------------------------------------------------------

    def judge_batch(self, batch: SignedBatch, received_at_ms: int) -> Verdicts:
        """Verdicts for a new batch, which from now on counts as logged.

        Raises:
            NotAllowed, Conflict, VerificationFailed: the batch as a whole is refused and nothing
                has changed.
            Overloaded: the engine has no memory left for its ids; nothing has changed.
        """
        self._check_time(received_at_ms)
        verdicts = self._take(batch, received_at_ms)
        self.size += 1 + len(batch.records)
        return verdicts

    def next_sequence(self, member: int) -> int:
        """The batch sequence that this member must use next."""
        return self._next_sequence.get(member, 1)

    def check_sender(self, batch: SignedBatch, received_at_ms: int) -> MemberFacts:
        """The member that may send this batch now.

        Raises:
            NotAllowed: other chain, unknown member, expired KYC, or a key that isn't its own.
            VerificationFailed: the signature does not verify.
        """
        if batch.chain_id != self.identity.chain_id:
            raise NotAllowed(
                "the batch is signed for another chain",
                field="chain_id",
                expected=str(self.identity.chain_id),
                found=str(batch.chain_id),
            )
        member = self.facts.members.get(batch.member)
        if member is None:
            raise NotAllowed(
                "unknown member",
                field="member",
                expected="a member registered on chain",
                found=str(batch.member),
                action="register, or wait until the registration is final on chain",
            )
        if member.kyc_expires_seconds * 1000 <= received_at_ms:
            raise NotAllowed(
                "the member's KYC has expired",
                field="member",
                expected=f"an expiry after {received_at_ms // 1000}",
                found=str(member.kyc_expires_seconds),
                action="have the registrar renew it; money already earned is not affected",
            )
        if not member.accepts_key(batch.signer, received_at_ms):
            raise NotAllowed(
                "the signer is not this member's event key",
                field="signer",
                expected=f"0x{member.event_key.hex()}",
                found=f"0x{batch.signer.hex()}",
            )
        if self._verify_signatures:
            batch.verify_signature(self._domain)
        return member

    def _take(self, batch: SignedBatch, received_at_ms: int) -> Verdicts:
        sender, rules = self._admit(batch, received_at_ms)
        records = self._engine.parse(batch.records)
        verdicts = self._engine.judge(records, sender, received_at_ms, rules)
        self._next_sequence[batch.member] = batch.sequence + 1
        self.last_received_at_ms = received_at_ms
        return verdicts

    def _admit(self, batch: SignedBatch, received_at_ms: int) -> tuple[MemberFacts, RuleSet]:
        """Who sent a batch that may stand here, and the rules for it; nothing changes."""
        rules = self._rules_in_force()
        sender = self.check_sender(batch, received_at_ms)
        expected = self.next_sequence(batch.member)
        if batch.sequence != expected:
            raise Conflict(
                "the batch sequence does not follow the member's last batch",
                field="sequence",
                expected=str(expected),
                found=str(batch.sequence),
                action="send batches of one member one after the other, without gaps",
            )
        return sender, rules

    # Facts -------------------------------------------------------------------------------------

    def apply_facts(self, facts: FactsEntry) -> None:
        """Take in a facts entry or a correction, logged or about to be.

        Raises:
            VerificationFailed, NotAllowed, InvalidInput: it can't stand here; nothing changed.
        """
        self._check_time(facts.recorded_at_ms)
        match facts:
            case RulesFacts():
                self._require_closed_range()
                self.rules = RuleSet.from_json(facts.rules_json)
            case ChainFacts():
                self._require_rules()
                self.facts.apply_chain(facts)
            case Declaration():
                self._rules_in_force()
                self.facts.apply_declaration(facts, self._domain)
            case TimeFacts():
                self._rules_in_force()
            case Correction():
                self._rules_in_force()
                self.corrections.apply(facts, self.size, self.leaves)
        self.last_received_at_ms = facts.recorded_at_ms
        self.size += 1

    def _check_time(self, received_at_ms: int) -> None:
        if received_at_ms < self.last_received_at_ms:
            raise VerificationFailed(
                "received-at falls",
                field="received_at_ms",
                expected=f"at least {self.last_received_at_ms}",
                found=str(received_at_ms),
            )

    def _require_rules(self) -> RuleSet:
        if self.rules is None:
            raise VerificationFailed(
                "no rules in force yet", field="rules", expected="rules facts as the first entry"
            )
        return self.rules

    def _rules_in_force(self) -> RuleSet:
        self._require_closed_range()
        return self._require_rules()

    def _require_closed_range(self) -> None:
        if self.facts.is_range_open:
            raise VerificationFailed(
                "chain facts are incomplete",
                field="facts",
                expected="all parts of a block range one after the other",
            )

    # Statements --------------------------------------------------------------------------------

    def statement(
        self, campaign: int, sequence: int, *, is_final: bool
    ) -> tuple[Statement, list[Line]]:
        """What the campaign owes over everything applied so far.

        Raises:
            VerificationFailed: the entries so far end inside a batch.
        """
        self.require_complete()
        lines = self.accruals.lines(campaign)
        statement = build_statement(
            self._escrow_domain,
            campaign,
            sequence,
            self.size,
            lines,
            corrections=self.accruals.corrections(campaign),
            is_final=is_final,
        )
        return statement, lines

    def is_complete(self, campaign: int) -> bool:
        """Whether the log itself shows that no further event of the campaign can count."""
        facts = self.facts.campaigns.get(campaign)
        return facts is not None and self.last_received_at_ms >= facts.counts_until_seconds * 1000

    def may_be_final(self, campaign: int) -> bool:
        """Whether the log itself shows that nothing of the campaign can change any more: no
        further event can count and no correction can be entered.
        """
        facts = self.facts.campaigns.get(campaign)
        return facts is not None and self.last_received_at_ms >= facts.final_from_seconds * 1000


def parse_facts(entry: bytes) -> FactsEntry:
    """Parse a facts entry of any kind, or a correction.

    Raises:
        VerificationFailed: unknown kind.
        InvalidInput: its bytes don't parse.
    """
    match entry[0] if entry else -1:
        case 0x03:
            return ChainFacts.from_entry(entry)
        case 0x04:
            return Declaration.from_entry(entry)
        case 0x05:
            return RulesFacts.from_entry(entry)
        case 0x06:
            return TimeFacts.from_entry(entry)
        case 0x07:
            return Correction.from_entry(entry)
        case kind:
            raise VerificationFailed(
                "unknown kind of entry",
                field="entry",
                expected="kinds 0x01 to 0x07",
                found=f"{kind:#04x}" if kind >= 0 else "no bytes",
            )


def batch_envelope(batch: SignedBatch, received_at_ms: int) -> Envelope:
    """The envelope that a batch gets in the log."""
    return Envelope(
        batch.member,
        batch.sequence,
        len(batch.records),
        received_at_ms,
        batch.signer,
        batch.signature,
    )


def batch_entries(
    batch: SignedBatch, received_at_ms: int, verdicts: Sequence[Verdict]
) -> list[bytes]:
    """The log entries of a judged batch: its envelope, then its records with their verdicts."""
    records = zip(batch.records, verdicts, strict=True)
    return [
        batch_envelope(batch, received_at_ms).to_entry(),
        *(set_verdict(record, verdict) for record, verdict in records),
    ]
