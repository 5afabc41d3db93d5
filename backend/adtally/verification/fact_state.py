"""What the log's facts say so far: members, campaigns, orders, funding, placements, creatives."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeVar

from adtally.errors import NotAllowed, VerificationFailed
from adtally.events.facts import ChainFacts, Declaration, DeclarationKind, FactLog
from adtally.types import Address, Rates, Role, Terms
from adtally.verification.chain_logs import (
    CampaignEnded,
    CampaignOpened,
    EventKeyChanged,
    FactChange,
    Funded,
    KycRenewed,
    MemberRegistered,
    OrderAccepted,
    OrderEnded,
    RolesChanged,
    decode_log,
)

_NO_KEY = bytes(20)
_Key = TypeVar("_Key")


@dataclass(slots=True)
class MemberFacts:
    """A member as the verdicts see it; ``previous_event_key`` is valid until its time."""

    id: int
    account: Address
    roles: int
    kyc_expires_seconds: int
    event_key: Address
    previous_event_key: Address = _NO_KEY
    previous_valid_until_seconds: int = 0

    def has_role(self, role: Role) -> bool:
        return bool(self.roles & role)

    def accepts_key(self, key: Address, at_ms: int) -> bool:
        """Whether ``key`` may sign for this member at ``at_ms``."""
        if key == _NO_KEY:
            return False
        if key == self.event_key:
            return True
        return key == self.previous_event_key and at_ms < self.previous_valid_until_seconds * 1000


@dataclass(slots=True)
class OrderFacts:
    """An accepted order; ``ends_at_seconds`` None while it has not been ended."""

    rates: Rates
    cap_base_units: int
    ends_at_seconds: int | None = None


@dataclass(slots=True)
class CampaignFacts:
    """A campaign as the verdicts see it; ``flight_end_seconds`` may be earlier than its terms."""

    id: int
    advertiser: int
    terms: Terms
    flight_end_seconds: int
    funded_base_units: int = 0
    orders: dict[int, OrderFacts] = field(default_factory=dict)
    creatives: dict[int, str] = field(default_factory=dict)
    allowed_placements: dict[int, set[int]] = field(default_factory=dict)

    @property
    def counts_until_seconds(self) -> int:
        """First second in which no event of this campaign is taken any more."""
        return self.flight_end_seconds + self.terms.late_window_seconds

    @property
    def final_from_seconds(self) -> int:
        """First second in which no correction is taken either: its statement may be final."""
        return self.counts_until_seconds + self.terms.correction_window_seconds


class FactState:
    """Applies facts entries in log order; nothing else ever changes it."""

    def __init__(self) -> None:
        self.members: dict[int, MemberFacts] = {}
        self.campaigns: dict[int, CampaignFacts] = {}
        self.placements: dict[tuple[int, int], str] = {}
        self.last_block: int | None = None
        self.version = 0
        """Rises with every change."""
        self._open_part: ChainFacts | None = None
        self._declared_at: dict[tuple[int, int, int, int, int], int] = {}

    def apply_chain(self, facts: ChainFacts) -> None:
        """Take in one chain facts entry.

        Raises:
            VerificationFailed: its range does not follow the one before, or parts are missing.
            InvalidInput: one of its logs does not decode.
        """
        self._check_range(facts)
        changes = [decode_log(log) for log in self._checked_logs(facts)]
        self.version += 1
        try:
            for change in changes:
                self._apply_change(change)
        except KeyError as error:
            raise _broken_range(
                "members and campaigns before changes to them", str(error)
            ) from None
        is_last = facts.part + 1 == facts.parts
        self._open_part = None if is_last else facts
        if is_last:
            self.last_block = facts.last_block

    @property
    def is_range_open(self) -> bool:
        """Whether parts of a chain facts range are still missing: nothing may be judged then."""
        return self._open_part is not None

    def _check_range(self, facts: ChainFacts) -> None:
        before = self._open_part
        if before is not None:
            expected = replace(
                before, part=before.part + 1, logs=facts.logs, recorded_at_ms=facts.recorded_at_ms
            )
            if facts != expected or facts.part >= facts.parts:
                raise _broken_range(
                    f"part {before.part + 1} of {before.parts} of the same range",
                    f"part {facts.part} of {facts.parts} of blocks {facts.first_block} to "
                    f"{facts.last_block}",
                )
            return
        follows = self.last_block is None or facts.first_block == self.last_block + 1
        if not follows or facts.last_block < facts.first_block or facts.part != 0:
            start = "any block" if self.last_block is None else f"block {self.last_block + 1}"
            raise _broken_range(
                f"a range from {start}, part 0",
                f"blocks {facts.first_block} to {facts.last_block}, part {facts.part}",
            )

    def _checked_logs(self, facts: ChainFacts) -> tuple[FactLog, ...]:
        places = [(log.block_number, log.log_index) for log in facts.logs]
        if self._open_part is not None and self._open_part.logs:
            last = self._open_part.logs[-1]
            places.insert(0, (last.block_number, last.log_index))
        inside = all(facts.first_block <= block <= facts.last_block for block, _ in places)
        if not inside or any(a >= b for a, b in pairwise(places)):
            raise _broken_range("logs inside the range in chain order", str(places[:4]))
        return facts.logs

    def _apply_change(self, change: FactChange) -> None:
        match change:
            case MemberRegistered(member, account, roles, kyc, key):
                self.members[member] = MemberFacts(member, account, roles, kyc, key)
            case RolesChanged(member, roles):
                self.members[member].roles = roles
            case KycRenewed(member, kyc):
                self.members[member].kyc_expires_seconds = kyc
            case EventKeyChanged(member, key, previous, until):
                facts = self.members[member]
                facts.event_key = key
                facts.previous_event_key = previous
                facts.previous_valid_until_seconds = until
            case CampaignOpened(campaign, advertiser, terms):
                self.campaigns[campaign] = CampaignFacts(
                    campaign, advertiser, terms, terms.flight_end_seconds
                )
            case CampaignEnded(campaign, flight_end):
                self.campaigns[campaign].flight_end_seconds = flight_end
            case Funded(campaign, total):
                self.campaigns[campaign].funded_base_units = total
            case OrderAccepted(campaign, publisher, rates, cap):
                self.campaigns[campaign].orders[publisher] = OrderFacts(rates, cap)
            case OrderEnded(campaign, publisher, ends_at):
                self.campaigns[campaign].orders[publisher].ends_at_seconds = ends_at

    def check_declaration(self, declaration: Declaration, domain: bytes) -> None:
        """Whether a declaration may be entered now.

        Raises:
            NotAllowed: unknown member, key not its own, not its campaign, or not newer than the
                declaration of the same thing before it.
            VerificationFailed: the signature does not verify.
        """
        member = self.members.get(declaration.member)
        if member is None or not member.accepts_key(declaration.signer, declaration.recorded_at_ms):
            raise NotAllowed(
                "the signer may not declare for this member",
                field="signer",
                expected="the member's registered event key",
                found=f"0x{declaration.signer.hex()} for member {declaration.member}",
            )
        self._check_subject(declaration)
        previous = self._declared_at.get(_declaration_key(declaration), -1)
        if declaration.declared_at_ms <= previous:
            raise NotAllowed(
                "the declaration is not newer than the one in force",
                field="declared_at_ms",
                expected=f"more than {previous}",
                found=str(declaration.declared_at_ms),
            )
        declaration.verify_signature(domain)

    def _check_subject(self, declaration: Declaration) -> None:
        if declaration.kind is DeclarationKind.PLACEMENT:
            wrong = declaration.campaign != 0 or declaration.publisher != declaration.member
            expected = "campaign 0 and publisher equal to member"
        else:
            campaign = self.campaigns.get(declaration.campaign)
            wrong = campaign is None or campaign.advertiser != declaration.member
            expected = "a campaign of this advertiser"
            if declaration.kind is DeclarationKind.CREATIVE:
                wrong = wrong or declaration.publisher != 0
                expected += " and publisher 0"
        if wrong:
            raise NotAllowed(
                "the member may not declare this",
                field="campaign",
                expected=expected,
                found=f"campaign {declaration.campaign}, publisher {declaration.publisher}",
            )

    def apply_declaration(self, declaration: Declaration, domain: bytes) -> None:
        """Take in a declaration; raises what ``check_declaration`` raises."""
        self.check_declaration(declaration, domain)
        self._declared_at[_declaration_key(declaration)] = declaration.declared_at_ms
        self.version += 1
        item = declaration.item
        match declaration.kind:
            case DeclarationKind.PLACEMENT:
                _put(self.placements, (declaration.publisher, item), declaration)
            case DeclarationKind.CREATIVE:
                _put(self.campaigns[declaration.campaign].creatives, item, declaration)
            case DeclarationKind.ALLOWED_PLACEMENT:
                lists = self.campaigns[declaration.campaign].allowed_placements
                allowed = lists.setdefault(declaration.publisher, set())
                if declaration.active:
                    allowed.add(item)
                else:
                    allowed.discard(item)


def _put(table: dict[_Key, str], key: _Key, declaration: Declaration) -> None:
    if declaration.active:
        table[key] = declaration.detail
    else:
        table.pop(key, None)


def _declaration_key(declaration: Declaration) -> tuple[int, int, int, int, int]:
    return (
        declaration.kind,
        declaration.member,
        declaration.campaign,
        declaration.publisher,
        declaration.item,
    )


def _broken_range(expected: str, found: str) -> VerificationFailed:
    return VerificationFailed(
        "chain facts do not follow the ones before", field="facts", expected=expected, found=found
    )
