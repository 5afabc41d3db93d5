"""Checks a proof bundle, step by step along the path of the money.

Whatever is wrong raises; whatever is only missing becomes a line that says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from adtally.audit.chain_events import (
    Anchored,
    Claimed,
    Contract,
    StatementSubmitted,
    decode_event,
)
from adtally.errors import VerificationFailed
from adtally.ethereum.block import EvmLog, Header, LogProof
from adtally.events.batch import Envelope
from adtally.events.correction import CORRECTION_KIND, Correction
from adtally.events.eip712 import (
    escrow_domain,
    event_batch_digest,
    log_domain,
    statement_digest,
)
from adtally.events.facts import ContractCode, FactLog
from adtally.events.record import AdEvent, EventType, clear_verdict, event_id_text
from adtally.events.signature import require_signer
from adtally.events.verdict import Verdict
from adtally.log.multiproof import root_of_leaves, verify_leaves
from adtally.proofs.bundle import Bundle, LineProof
from adtally.proofs.explain import explain
from adtally.proofs.findings import Findings, Trust
from adtally.rfc9162 import leaf_hash
from adtally.settlement.claim_tree import line_leaf, verify_line
from adtally.settlement.rates import line_amount_base_units
from adtally.types import Address, ChainLog, Counts, LogIdentity
from adtally.verification.chain_logs import OrderAccepted, decode_log

_Event = TypeVar("_Event", Anchored, StatementSubmitted, Claimed)


@dataclass(frozen=True, slots=True)
class _InBlock:
    """What a contract said, and in which block."""

    header: Header
    log: EvmLog


class _Check:
    """One bundle being checked; the steps are called in order and leave lines behind."""

    def __init__(self, bundle: Bundle, trust: Trust) -> None:
        self.bundle = bundle
        self.trust = trust
        self.found = Findings()
        self.event = AdEvent.from_record(bundle.record)
        self.envelope = Envelope.from_entry(bundle.envelope)
        self.identity = LogIdentity(bundle.scope.chain_id, bundle.scope.event_log)
        self.blocks: list[tuple[str, Header]] = []

    # Record ------------------------------------------------------------------------------------

    def scope(self) -> None:
        """The bundle must be about the verifier's deployment."""
        scope, trust = self.bundle.scope, self.trust
        for name, expected, found in (
            ("chain_id", trust.chain_id, scope.chain_id),
            ("event_log", trust.event_log, scope.event_log),
            ("escrow", trust.escrow, scope.escrow),
        ):
            if expected is not None and expected != found:
                raise _wrong(
                    "the bundle is about another deployment", name, _text(expected), _text(found)
                )
        where = (
            f"chain {scope.chain_id}, log contract 0x{scope.event_log.hex()}, "
            f"escrow 0x{scope.escrow.hex()}"
        )
        if None in (trust.chain_id, trust.event_log, trust.escrow):
            self.found.not_shown("deployment", f"compare yourself: {where} (or give --deployment)")
        else:
            self.found.shown("deployment", f"about your deployment: {where}")

    def batch(self) -> None:
        """The record must be one of those that the batch's signature covers."""
        bundle, envelope, event = self.bundle, self.envelope, self.event
        position = bundle.index - bundle.first_index - 1
        if not 0 <= position < envelope.count:
            raise _wrong(
                "the record is not in the batch",
                "index",
                f"{bundle.first_index + 1} to {bundle.first_index + envelope.count}",
                str(bundle.index),
            )
        leaf = leaf_hash(clear_verdict(bundle.record))
        root = root_of_leaves({position: leaf}, envelope.count, bundle.records_proof)
        digest = event_batch_digest(
            log_domain(self.identity),
            envelope.signer,
            envelope.member,
            envelope.sequence,
            envelope.count,
            root,
        )
        require_signer(digest, envelope.signature, envelope.signer, "batch")
        self.found.shown(
            "batch",
            f"{event.type.label} {event_id_text(event.id)} of publisher {event.publisher} in "
            f"campaign {event.campaign} is event {position + 1} of {envelope.count} in batch "
            f"{envelope.sequence} of member {envelope.member}, signed by key "
            f"0x{envelope.signer.hex()}, received at {envelope.received_at_ms} ms",
        )

    def logged(self) -> int:
        """All entries of the bundle must stand in the anchored tree; its size."""
        bundle = self.bundle
        at = self._in_block("anchor", bundle.anchored)
        anchored = self._event(at, Contract.EVENT_LOG, bundle.scope.event_log, Anchored)
        entries = {bundle.index: bundle.record, bundle.first_index: bundle.envelope}
        cited = {each.index: each.entry for each in bundle.cited}
        order = [each.index for each in bundle.cited]
        if order != sorted(set(order)) or entries.keys() & cited.keys():
            raise _wrong("cited entries are out of order", "cited", "ascending", str(order))
        leaves = {index: leaf_hash(entry) for index, entry in (entries | cited).items()}
        verify_leaves(leaves, anchored.tree_size, bundle.log_proof, anchored.root_hash)
        self.found.shown(
            "log",
            f"its {len(bundle.record)} bytes are leaf {bundle.index} of the log whose "
            f"{anchored.tree_size} entries have root 0x{anchored.root_hash.hex()}, anchor "
            f"{anchored.number} (block {at.header.number})",
        )
        return anchored.tree_size

    def verdict(self) -> None:
        """The verdict in the record's bytes, and why, as far as entries are cited."""
        verdict = self.event.verdict
        self.found.shown("verdict", f"the logged verdict is {verdict.label}")
        past = [
            each
            for each in self.bundle.cited
            if each.index < self.bundle.index and each.entry[:1] != bytes((CORRECTION_KIND,))
        ]
        if not past:
            self.found.rests_on(
                "rule",
                "that the rules give this verdict: attestors re-judge every record before they "
                "sign, and `adtally audit` shows it",
            )
            return
        told = explain(self.identity, self.bundle.record, self.envelope, past, self.bundle.accrued)
        numbers = ", ".join(f"{name} {value}" for name, value in told.parameters.items())
        rules = "" if told.rules_hash is None else f"; rule set 0x{told.rules_hash.hex()}"
        words = f"{told.rule}{f' ({numbers})' if numbers else ''}{rules}"
        leaves = ", ".join(str(each.index) for each in past)
        if told.is_shown:
            self.found.shown(
                "rule", f"the reference rules say so on the facts at leaves {leaves}: {words}"
            )
            self.found.rests_on(
                "facts",
                "that no other entry changes this" + self._and_sums() + ": replay the log "
                f"(`adtally audit`) up to leaf {self.bundle.index}",
            )
        else:
            given = told.problem or f"on the cited facts alone the rules give {_label(told.judged)}"
            self.found.not_shown("rule", f"{words}; {given}")

    def _and_sums(self) -> str:
        return "" if self.bundle.accrued is None else ", and the sums in the books before it"

    def corrections(self, before: int) -> bool:
        """Whether the record counts at a tree size, by its verdict and the cited corrections."""
        counts = self.event.verdict is Verdict.ACCEPTED
        for each in self.bundle.cited:
            if each.entry[:1] != bytes((CORRECTION_KIND,)):
                continue
            correction = Correction.from_entry(each.entry)
            if correction.index != self.bundle.index or correction.record != self.bundle.record:
                raise _wrong(
                    "a cited correction is of another record",
                    "cited",
                    f"leaf {self.bundle.index}",
                    f"leaf {correction.index}",
                )
            if each.index < before:
                counts = correction.change > 0
            verb = "counts" if correction.change > 0 else "takes back"
            when = "before" if each.index < before else "after"
            self.found.shown(
                "correction",
                f"leaf {each.index} {verb} it ({correction.reason.label}), {when} what follows",
            )
        return counts

    # Money -------------------------------------------------------------------------------------

    def counted(self, anchored_size: int) -> tuple[StatementSubmitted, Header] | None:
        """The line of the statement; None where none is in the bundle."""
        line = self.bundle.line
        if line is None:
            self.corrections(anchored_size)
            self.found.not_shown("statement", "no settled statement in the bundle")
            return None
        at = self._in_block("statement", line.settled)
        escrow = self.bundle.scope.escrow
        settled = self._event(at, Contract.CAMPAIGN_ESCROW, escrow, StatementSubmitted)
        statement = settled.statement
        if statement.campaign != self.event.campaign:
            raise _wrong(
                "the statement is of another campaign",
                "statement",
                str(self.event.campaign),
                str(statement.campaign),
            )
        if not self.bundle.index < statement.tree_size <= anchored_size:
            raise _wrong(
                "the statement's tree does not lie between the record and the anchor",
                "tree_size",
                f"more than {self.bundle.index}, at most {anchored_size}",
                str(statement.tree_size),
            )
        self._check_line(line, settled)
        self._attested(line, settled)
        self._membership_of_record(line.counts, settled)
        return settled, at.header

    def _check_line(self, line: LineProof, settled: StatementSubmitted) -> None:
        event, statement = self.event, settled.statement
        domain = escrow_domain(self.identity.chain_id, self.bundle.scope.escrow)
        leaf = line_leaf(domain, event.campaign, event.publisher, line.counts)
        if not verify_line(statement.lines_root, leaf, line.proof):
            raise _wrong(
                "the line is not in the statement",
                "line",
                f"lines root 0x{statement.lines_root.hex()}",
                f"a line of publisher {event.publisher} that leads elsewhere",
            )
        self.found.shown(
            "line",
            f"statement {statement.sequence} of campaign {statement.campaign} over the first "
            f"{statement.tree_size} entries (a prefix of that log, by the contract's check) has "
            f"for publisher {event.publisher} the line {_counts_text(line.counts)}",
        )

    def _attested(self, line: LineProof, settled: StatementSubmitted) -> None:
        domain = escrow_domain(self.identity.chain_id, self.bundle.scope.escrow)
        digest = statement_digest(domain, settled.statement)
        signers = [each.attestor for each in line.attestations]
        if signers != sorted(set(signers)):
            raise _wrong("attestations are out of order", "attestations", "ascending", "others")
        for each in line.attestations:
            require_signer(digest, each.signature, each.attestor, "attestation")
        if not signers:
            return
        unknown = [each for each in signers if each not in self.trust.attestors]
        names = ", ".join(f"0x{each.hex()}" for each in signers)
        if self.trust.attestors and unknown:
            self.found.not_shown(
                "attestors",
                f"signed by {names}; not in your deployment file: "
                + ", ".join(f"0x{each.hex()}" for each in unknown),
            )
        else:
            self.found.shown("attestors", f"the statement is signed by {names}")

    def _membership_of_record(self, counts: Counts, settled: StatementSubmitted) -> None:
        """Whether this record is one of those that the line's count stands for."""
        number = settled.statement.sequence
        if not self.corrections(settled.statement.tree_size):
            self.found.rests_on(
                "counted",
                f"that statement {number} does not count it: the attestors recomputed every count",
            )
            return
        of_type = _count_of(counts, self.event.type)
        if of_type < 1:
            raise _wrong(
                "the line counts no event of this type",
                "line",
                f"at least one {self.event.type.label}",
                "0",
            )
        self.found.rests_on(
            "counted",
            f"that it is one of the {of_type} {self.event.type.label} events of the line: counts "
            "follow from the log alone; the escrow took the statement because a quorum of "
            "attestors signed it after recomputing them, and `adtally audit` repeats it",
        )

    def priced(self) -> int | None:
        """The line's amount in base units, if the order is in the bundle."""
        bundle, line = self.bundle, self.bundle.line
        if bundle.order is None or line is None:
            if bundle.order is not None:
                raise _wrong("an order without a line", "order", "a line", "none")
            return None
        at = self._in_block("order", bundle.order)
        self._require_address(at, bundle.scope.escrow)
        accepted = decode_log(
            FactLog(0, 0, ContractCode.CAMPAIGN_ESCROW, at.log.topics, at.log.data)
        )
        event = self.event
        if not isinstance(accepted, OrderAccepted) or (
            (accepted.campaign, accepted.publisher) != (event.campaign, event.publisher)
        ):
            raise _wrong(
                "the order is of others",
                "order",
                f"OrderAccepted of campaign {event.campaign}, publisher {event.publisher}",
                type(accepted).__name__,
            )
        amount = line_amount_base_units(accepted.rates, line.counts, accepted.cap_base_units)
        rates = accepted.rates
        self.found.shown(
            "price",
            f"at the order's rates ({rates.per_mille_impressions} per mille impressions, "
            f"{rates.per_mille_viewables} per mille viewables, {rates.per_click} a click, "
            f"{rates.per_conversion} a conversion) the line comes to {amount} base units",
        )
        return amount

    def paid(self, settled: tuple[StatementSubmitted, Header] | None, amount: int | None) -> None:
        """The escrow's payment of the line."""
        proof = self.bundle.paid
        if proof is None:
            if self.bundle.line is not None:
                self.found.not_shown("payment", "no payment in the bundle")
            return
        if settled is None:
            raise _wrong("a payment without a statement", "paid", "a statement", "none")
        statement, header = settled
        at = self._in_block("payment", proof)
        escrow = self.bundle.scope.escrow
        claimed = self._event(at, Contract.CAMPAIGN_ESCROW, escrow, Claimed)
        event = self.event
        if (claimed.campaign, claimed.publisher) != (event.campaign, event.publisher):
            raise _wrong(
                "the payment is of others",
                "paid",
                f"campaign {event.campaign}, publisher {event.publisher}",
                f"campaign {claimed.campaign}, publisher {claimed.publisher}",
            )
        if (
            at.header.number < header.number
            or at.header.timestamp_seconds < statement.activates_at_seconds
        ):
            raise _wrong(
                "the payment was before the statement was active",
                "paid",
                f"at {statement.activates_at_seconds} or later",
                str(at.header.timestamp_seconds),
            )
        whole = ""
        if amount is not None:
            whole = (
                ": the line in full" if claimed.paid_total_base_units >= amount
                else f" of the line's {amount} (a part may be held back until the campaign closes)"
            )  # fmt: skip
        self.found.shown(
            "payment",
            f"transaction {proof.transaction} of block {at.header.number} paid "
            f"{claimed.amount_base_units} base units to 0x{claimed.payout.hex()}, with which "
            f"publisher {event.publisher} has got {claimed.paid_total_base_units}{whole}",
        )

    # Chain -------------------------------------------------------------------------------------

    def chain(self) -> None:
        """The blocks must be part of the chain that the verifier trusts."""
        linked = self._linked()
        numbers = ", ".join(
            f"{name} {header.number} 0x{header.hash.hex()}" for name, header in self.blocks
        )
        blocks = self.trust.blocks
        if blocks is None:
            self.found.not_shown(
                "chain", f"all this holds only if these blocks are part of the chain: {numbers}"
            )
            return
        known = set(blocks)
        for header in linked:
            if header.hash in known:
                known.add(header.parent_hash)
        for name, header in self.blocks:
            if header.hash not in known:
                raise _wrong(
                    f"the block of the {name} is not one that you trust",
                    "chain",
                    f"block {header.number} among the trusted, or headers that lead to it",
                    f"0x{header.hash.hex()}",
                )
        self.found.shown("chain", f"part of the chain, says {self.trust.source}: {numbers}")

    def _linked(self) -> list[Header]:
        """The bundle's own chain of headers, from the newest down, each the next one's child."""
        headers = [Header.from_rlp(raw) for raw in self.bundle.headers]
        for child, parent in pairwise(headers):
            if child.parent_hash != parent.hash:
                raise _wrong(
                    "the headers don't follow each other",
                    "headers",
                    f"0x{child.parent_hash.hex()}",
                    f"0x{parent.hash.hex()}",
                )
        reached = {header.hash for header in headers}
        if headers:
            reached.add(headers[-1].parent_hash)
            missing = [name for name, header in self.blocks if header.hash not in reached]
            if missing:
                raise _wrong("the headers lead elsewhere", "headers", str(missing), "others")
        return headers

    def _in_block(self, name: str, proof: LogProof) -> _InBlock:
        header, log = proof.verify()
        self.blocks.append((name, header))
        return _InBlock(header, log)

    def _require_address(self, at: _InBlock, contract: Address) -> None:
        if at.log.address != contract:
            raise _wrong(
                "another contract said so",
                "address",
                f"0x{contract.hex()}",
                f"0x{at.log.address.hex()}",
            )

    def _event(
        self, at: _InBlock, contract: Contract, address: Address, kind: type[_Event]
    ) -> _Event:
        self._require_address(at, address)
        log = ChainLog(
            at.header.number, at.header.hash, bytes(32), 0, address, at.log.topics, at.log.data
        )
        event = decode_event(contract, log)
        if not isinstance(event, kind):
            raise _wrong(
                "the contract said something else", "log", kind.__name__, type(event).__name__
            )
        return event


def verify_bundle(bundle: Bundle, trust: Trust) -> Findings:
    """Check everything in a bundle against what is trusted.

    Returns:
        A line for each thing that is shown, rests on somebody's word, or is not shown.

    Raises:
        VerificationFailed: something in the bundle is not so.
        InvalidInput: a part does not parse.
    """
    check = _Check(bundle, trust)
    check.scope()
    check.batch()
    size = check.logged()
    check.verdict()
    settled = check.counted(size)
    amount = check.priced()
    check.paid(settled, amount)
    check.chain()
    return check.found


def blocks_of(bundle: Bundle) -> list[Header]:
    """The blocks that a bundle's proofs start from, each once, by number; raises InvalidInput."""
    proofs = [bundle.anchored, bundle.order, bundle.paid]
    if bundle.line is not None:
        proofs.append(bundle.line.settled)
    headers = {each.header: Header.from_rlp(each.header) for each in proofs if each is not None}
    return sorted(headers.values(), key=lambda header: header.number)


def _label(verdict: Verdict | None) -> str:
    return "none" if verdict is None else verdict.label


def _counts_text(counts: Counts) -> str:
    return (
        f"{counts.impressions} impressions, {counts.viewables} viewables, {counts.clicks} clicks, "
        f"{counts.conversions} conversions"
    )


def _count_of(counts: Counts, kind: EventType) -> int:
    return {
        EventType.IMPRESSION: counts.impressions,
        EventType.VIEWABLE: counts.viewables,
        EventType.CLICK: counts.clicks,
        EventType.CONVERSION: counts.conversions,
    }[kind]


def _text(value: int | Address) -> str:
    return str(value) if isinstance(value, int) else f"0x{value.hex()}"


def _wrong(message: str, field: str, expected: str, found: str) -> VerificationFailed:
    return VerificationFailed(message, field=field, expected=expected, found=found)
