"""Why a record has its verdict: the reference rules, run on the entries that are cited for it.

The same function speaks for the service and for whoever verifies a bundle, so the reason that is
told is the one that was checked. What it can't know is whether an entry that would change the
verdict was left out: that is what replaying the whole log shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from adtally.errors import AdtallyError
from adtally.events.batch import Envelope
from adtally.events.eip712 import log_domain
from adtally.events.facts import ChainFacts, Declaration, FactLog, RulesFacts
from adtally.events.record import RECORD_KIND, AdEvent, EventType, clear_verdict
from adtally.events.verdict import Verdict
from adtally.proofs.bundle import Accrued, LoggedEntry
from adtally.proofs.cite import TAKES_NO_ID
from adtally.proofs.words import Parameters, rule_in_words, rule_parameters
from adtally.settlement.machine import parse_facts
from adtally.settlement.rates import MILLI, event_amount_milli, reserve_base_units
from adtally.types import Hash, LogIdentity
from adtally.verification.chain_logs import (
    CampaignOpened,
    FactChange,
    MemberRegistered,
    decode_log,
)
from adtally.verification.event_index import EventIndex, body_digest, event_key
from adtally.verification.fact_state import (
    CampaignFacts,
    FactState,
    MemberFacts,
    OrderFacts,
)
from adtally.verification.judge import Judge
from adtally.verification.rule_set import RuleSet


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the cited entries show of a verdict.

    Attributes:
        judged: the verdict that the reference gives on them, None if they are not enough to judge.
        rule: the rule behind the logged verdict, in words.
        parameters: its numbers, by name.
        rules_hash: SHA-256 of the rule set's canonical JSON, None if no rules are cited.
        problem: why they are not enough.
    """

    verdict: Verdict
    judged: Verdict | None
    rule: str
    parameters: Parameters
    rules_hash: Hash | None
    problem: str | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the reference gives the logged verdict on what is cited."""
        return self.judged is self.verdict


@dataclass(slots=True)
class CitedPast:
    """What the cited entries before a record say."""

    facts: FactState
    index: EventIndex
    rules: RuleSet | None = None
    rules_json: bytes = b""


class _Books:
    """Implements ``verification.judge.Budget`` on the sums that a bundle states."""

    def __init__(self, accrued: Accrued | None) -> None:
        self._accrued = accrued

    def refusal(self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent) -> Verdict | None:
        if self._accrued is None:
            return None
        milli = self._accrued.line_milli
        after = (milli + event_amount_milli(order.rates, event.type)) // MILLI
        if after > order.cap_base_units:
            return Verdict.ORDER_CAP_REACHED
        total = self._accrued.lines_total_base_units + after - milli // MILLI
        if reserve_base_units(total, campaign.terms.cuts) > campaign.funded_base_units:
            return Verdict.BUDGET_EXHAUSTED
        return None

    def charge(self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent) -> None:
        """Nothing follows."""


def explain(
    identity: LogIdentity,
    record: bytes,
    envelope: Envelope,
    cited: Sequence[LoggedEntry],
    accrued: Accrued | None,
) -> Explanation:
    """Judge a logged record again, by the cited entries alone.

    Args:
        cited: entries before the record, of any kind, by ascending leaf index.
        accrued: what stood in the books before it, for verdicts about money.

    Raises:
        InvalidInput: the record does not parse.
    """
    event = AdEvent.from_record(record)
    unset = clear_verdict(record)
    try:
        past = read_past(identity, event, cited)
        judged, problem = _judged(past, event.with_verdict(Verdict.UNSET), unset, envelope, accrued)
    except AdtallyError as error:
        return Explanation(event.verdict, None, rule_in_words(event.verdict), {}, None, str(error))
    parameters = rule_parameters(event, envelope, past.facts, past.rules, accrued)
    digest = None if past.rules is None else hashlib.sha256(past.rules_json).digest()
    return Explanation(
        event.verdict, judged, rule_in_words(event.verdict), parameters, digest, problem
    )


def read_past(identity: LogIdentity, event: AdEvent, cited: Sequence[LoggedEntry]) -> CitedPast:
    """The state that the cited entries make, as far as it concerns ``event``.

    Raises:
        InvalidInput, VerificationFailed, NotAllowed: an entry does not parse, or can't follow
            those that are cited before it.
    """
    past = CitedPast(FactState(), EventIndex())
    domain = log_domain(identity)
    for each in cited:
        if each.entry[:1] == bytes((RECORD_KIND,)):
            _note_record(past.index, event, AdEvent.from_record(each.entry), each.entry)
            continue
        match parse_facts(each.entry):
            case RulesFacts() as rules:
                past.rules = RuleSet.from_json(rules.rules_json)
                past.rules_json = rules.rules_json
            case ChainFacts() as chain:
                _apply_chain(past.facts, chain)
            case Declaration() as declaration:
                past.facts.apply_declaration(declaration, domain)
    return past


def _judged(
    past: CitedPast, event: AdEvent, unset: bytes, envelope: Envelope, accrued: Accrued | None
) -> tuple[Verdict | None, str | None]:
    sender = past.facts.members.get(envelope.member)
    if past.rules is None or sender is None:
        what = "rule set" if past.rules is None else f"registration of member {envelope.member}"
        return None, f"no {what} is cited"
    problem = _sender_problem(sender, envelope)
    if problem is not None:
        return None, problem
    judge = Judge(past.facts, past.index, _Books(accrued))
    return judge.judge(event, unset, sender, envelope.received_at_ms, past.rules), None


def _sender_problem(sender: MemberFacts, envelope: Envelope) -> str | None:
    """Why the log could not have taken the batch, by the cited facts."""
    if not sender.accepts_key(envelope.signer, envelope.received_at_ms):
        return f"by the cited facts 0x{envelope.signer.hex()} is no key of member {sender.id}"
    if sender.kyc_expires_seconds * 1000 <= envelope.received_at_ms:
        return f"by the cited facts the KYC of member {sender.id} had expired"
    return None


def _note_record(index: EventIndex, event: AdEvent, earlier: AdEvent, entry: bytes) -> None:
    if event_key(earlier) == event_key(event):
        if earlier.verdict not in TAKES_NO_ID:
            index.remember(earlier, body_digest(clear_verdict(entry)))
        return
    # Ids are a publisher's own: an event of another one is neither parent nor sibling.
    if earlier.verdict is not Verdict.ACCEPTED or earlier.publisher != event.publisher:
        return
    if earlier.id == event.parent_id:
        index.add_parent(earlier)
        return
    kind = EventType.CLICK if event.type is EventType.CONVERSION else EventType.IMPRESSION
    parent = index.parent(event.publisher, kind, event.parent_id)
    if parent is not None and earlier.parent_id == event.parent_id:
        parent.used_by.add(earlier.type)


def _apply_chain(facts: FactState, chain: ChainFacts) -> None:
    """Take in what concerns members and campaigns that are known by now; other logs are left out.

    Entries in between are not cited, so their block ranges don't follow each other.
    """
    kept: list[FactLog] = []
    members, campaigns = set(facts.members), set(facts.campaigns)
    for log in chain.logs:
        change = decode_log(log)
        if isinstance(change, MemberRegistered):
            members.add(change.member)
        elif isinstance(change, CampaignOpened):
            campaigns.add(change.campaign)
        elif not _concerns(change, members, campaigns):
            continue
        kept.append(log)
    facts.last_block = None
    facts.apply_chain(replace(chain, part=0, parts=1, logs=tuple(kept)))


def _concerns(change: FactChange, members: set[int], campaigns: set[int]) -> bool:
    campaign = getattr(change, "campaign", None)
    return campaign in campaigns if campaign is not None else change.member in members  # type: ignore[union-attr]
