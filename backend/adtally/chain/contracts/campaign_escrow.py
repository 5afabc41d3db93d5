"""CampaignEscrow: campaigns, orders, statements and the money."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from adtally.chain.abi import Call, Event, Function, address_argument, address_result
from adtally.chain.connection import Chain
from adtally.chain.contracts.quorum import QUORUM, Quorum
from adtally.types import (
    Address,
    BlockStamp,
    ChainLog,
    Counts,
    Cut,
    GoalType,
    Hash,
    Rates,
    Statement,
    Terms,
)

_COUNTS = "(uint64,uint64,uint64,uint64)"
_RATES = "(uint80,uint80,uint80,uint80)"
_TERMS = (
    "(address,uint64,uint64,uint32,uint32,uint32,uint32,uint32,uint32,uint16,uint128,uint8,uint64,"
    "uint128,(uint32,uint16)[])"
)
_STATEMENT = f"(uint32,uint32,uint64,uint128,{_COUNTS},uint64,bytes32,bool)"
_CLAIM_LINE = f"(uint32,{_COUNTS},bytes32[])"
_STATEMENT_VIEW = "(uint32,uint64,uint64,uint128,uint64,bytes32,bool)"
_CAMPAIGN_VIEW = (
    "(uint32,uint64,uint64,uint128,uint128,uint128,uint128,uint128,uint128,uint8,"
    f"{_STATEMENT_VIEW},{_STATEMENT_VIEW})"
)

OPEN_CAMPAIGN = Function(f"openCampaign({_TERMS})", "uint32")
END_CAMPAIGN = Function("endCampaign(uint32)")
FUND = Function("fund(uint32,uint256)")
FUND_WITH_PERMIT = Function("fundWithPermit(uint32,uint256,uint256,uint8,bytes32,bytes32)")
OFFER_ORDER = Function(f"offerOrder(uint32,uint32,{_RATES},uint128)")
ACCEPT_ORDER = Function(f"acceptOrder(uint32,{_RATES},uint128)")
END_ORDER = Function("endOrder(uint32,uint32)")
SETTLE = Function(f"settle({_STATEMENT},{QUORUM})")
CLAIM = Function(f"claim(uint32,{_CLAIM_LINE})", "uint128")
CLAIM_MANY = Function(f"claimMany(uint32,bytes32,bytes32[],{_CLAIM_LINE}[])", "uint128")
PAY_CUT = Function("payCut(uint32,uint256)", "uint128")
REFUND = Function("refund(uint32)", "uint128")
OBJECT_TO = Function("objectTo(uint32,uint32,string)")
RELEASE_OBJECTION_BOND = Function("releaseObjectionBond(uint32)", "address")
BOOK_PAYOUTS = Function("bookPayouts(uint32)")
RECOVER_SURPLUS = Function("recoverSurplus(address,address)", "uint256")
PAUSE = Function("pause()")
UNPAUSE = Function("unpause()")
TERMS = Function("terms(uint32)", _TERMS)
CAMPAIGN = Function("campaign(uint32)", _CAMPAIGN_VIEW)
ORDER = Function("order(uint32,uint32)", f"({_RATES},uint128,uint128,uint64,uint8)")
CLAIMABLE = Function(f"claimable(uint32,{_CLAIM_LINE})", "uint128")
CUT_PAYABLE = Function("cutPayable(uint32,uint256)", "uint128")
REFUNDABLE = Function("refundable(uint32)", "uint128")
LIABILITIES = Function("liabilities(address)", "uint256")
LINE_LEAF = Function(f"lineLeaf(uint32,uint32,{_COUNTS})", "bytes32")
STATEMENT_DIGEST = Function(f"statementDigest({_STATEMENT})", "bytes32")
DOMAIN_SEPARATOR = Function("DOMAIN_SEPARATOR()", "bytes32")
FIRST_CAMPAIGN = Function("FIRST_CAMPAIGN()", "uint32")

CAMPAIGN_OPENED = Event(
    f"CampaignOpened(uint32 indexed campaign,uint32 indexed advertiser,{_TERMS} terms)"
)
STATEMENT_SUBMITTED = Event(
    f"StatementSubmitted(uint32 indexed campaign,uint32 indexed sequence,{_STATEMENT} statement,"
    "uint64 activatesAt)"
)
OBJECTION_RAISED = Event(
    "ObjectionRaised(uint32 indexed campaign,uint32 indexed sequence,uint128 bond,"
    "uint64 activatesAt,string reason)"
)
OBJECTION_DECIDED = Event(
    "ObjectionDecided(uint32 indexed campaign,uint32 indexed sequence,bool isUpheld)"
)
OBJECTION_BOND_RELEASED = Event(
    "ObjectionBondReleased(uint32 indexed campaign,address to,uint128 amount)"
)
CLAIMED = Event(
    "Claimed(uint32 indexed campaign,uint32 indexed publisher,address payout,uint128 amount,"
    "uint128 paidTotal)"
)
CLAIM_SKIPPED = Event("ClaimSkipped(uint32 indexed campaign,uint32 indexed publisher,bytes reason)")
CUT_PAID = Event(
    "CutPaid(uint32 indexed campaign,uint32 indexed member,address payout,uint128 amount,"
    "uint128 paidTotal)"
)
REFUNDED = Event(
    "Refunded(uint32 indexed campaign,address to,uint128 amount,uint128 refundedTotal)"
)


class Objection(IntEnum):
    """What became of the objection that a campaign's bond is held for."""

    NONE = 0
    """No bond is held."""
    OPEN = 1
    """Against the latest statement, undecided."""
    UPHELD = 2
    """The next statement contained more corrections; the bond waits to be released."""
    REJECTED = 3
    """It did not."""


class OrderState(IntEnum):
    """What became of an offer."""

    NONE = 0
    OFFERED = 1
    ACCEPTED = 2


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order; ``ends_at_seconds`` 0 while it has no end of its own. Money in base units."""

    rates: Rates
    cap_base_units: int
    paid_base_units: int
    ends_at_seconds: int
    state: OrderState


@dataclass(frozen=True, slots=True)
class StatementView:
    """What the contract keeps of a statement; ``sequence`` 0 means there is none."""

    sequence: int
    tree_size: int
    activates_at_seconds: int
    lines_total_base_units: int
    corrections: int
    lines_root: Hash
    is_final: bool


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign's money and statements, in base units of its token.

    ``closes_at_seconds``: when the refund opens and the holdback ends, as things stand.
    ``unbooked_base_units``: payouts that ``liabilities`` still counts.
    """

    advertiser: int
    flight_end_seconds: int
    closes_at_seconds: int
    funded_base_units: int
    refunded_base_units: int
    claimed_base_units: int
    cuts_paid_base_units: int
    unbooked_base_units: int
    reserved_base_units: int
    objection: Objection
    latest: StatementView
    active: StatementView


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """A line of a statement with its proof in the claim tree."""

    publisher: int
    counts: Counts
    proof: tuple[Hash, ...]

    def to_abi(self) -> tuple[object, ...]:
        return (self.publisher, _counts(self.counts), list(self.proof))


@dataclass(frozen=True, slots=True)
class ClaimBatch:
    """Lines of one campaign to be paid at once.

    Their proofs lead to ``node`` of the claim tree, and ``node_proof`` leads on to the root.
    """

    campaign: int
    node: Hash
    node_proof: tuple[Hash, ...]
    lines: tuple[ClaimLine, ...]


@dataclass(frozen=True, slots=True)
class StatementSubmitted:
    """A statement was accepted; its money is reserved."""

    statement: Statement
    activates_at_seconds: int


@dataclass(frozen=True, slots=True)
class ObjectionRaised:
    """The latest statement activates later now and is not final any more."""

    campaign: int
    sequence: int
    bond_base_units: int
    activates_at_seconds: int
    reason: str


@dataclass(frozen=True, slots=True)
class ObjectionDecided:
    """The statement after ``sequence`` has decided the objection to it."""

    campaign: int
    sequence: int
    is_upheld: bool


@dataclass(frozen=True, slots=True)
class ObjectionBondReleased:
    """The bond of a decided objection was paid out: to the advertiser, or burned."""

    campaign: int
    to: Address
    amount_base_units: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A publisher was paid."""

    campaign: int
    publisher: int
    payout: Address
    amount_base_units: int
    paid_total_base_units: int


@dataclass(frozen=True, slots=True)
class ClaimSkipped:
    """A line of a batch of claims failed; ``reason`` is its revert data."""

    campaign: int
    publisher: int
    reason: bytes


@dataclass(frozen=True, slots=True)
class CutPaid:
    """An intermediary was paid."""

    campaign: int
    member: int
    payout: Address
    amount_base_units: int
    paid_total_base_units: int


@dataclass(frozen=True, slots=True)
class Refunded:
    """The advertiser got unreserved money back."""

    campaign: int
    to: Address
    amount_base_units: int
    refunded_total_base_units: int


class CampaignEscrow:
    """Reads and calls of the CampaignEscrow contract at ``address``."""

    def __init__(self, chain: Chain, address: Address) -> None:
        self.chain = chain
        self.address = address

    async def _read(self, function: Function, at: BlockStamp | None, *args: object) -> Any:
        return function.decode(await self.chain.call(self.address, function.encode(*args), at))

    async def terms(self, campaign: int, at: BlockStamp | None = None) -> Terms:
        """Terms as opened. Raises ChainReverted (CampaignUnknown)."""
        return terms_from_abi(await self._read(TERMS, at, campaign))

    async def campaign(self, campaign: int, at: BlockStamp | None = None) -> CampaignView:
        """Money and statements now. Raises ChainReverted (CampaignUnknown)."""
        row = await self._read(CAMPAIGN, at, campaign)
        return CampaignView(
            advertiser=row[0],
            flight_end_seconds=row[1],
            closes_at_seconds=row[2],
            funded_base_units=row[3],
            refunded_base_units=row[4],
            claimed_base_units=row[5],
            cuts_paid_base_units=row[6],
            unbooked_base_units=row[7],
            reserved_base_units=row[8],
            objection=Objection(row[9]),
            latest=StatementView(*row[10]),
            active=StatementView(*row[11]),
        )

    async def order(self, campaign: int, publisher: int, at: BlockStamp | None = None) -> OrderView:
        """The publisher's order in the campaign; state NONE if there is none."""
        rates, cap, paid, ends_at, state = await self._read(ORDER, at, campaign, publisher)
        return OrderView(Rates(*rates), cap, paid, ends_at, OrderState(state))

    async def claimable(self, campaign: int, line: ClaimLine, at: BlockStamp | None = None) -> int:
        """Base units that the line would pay now; 0 if not proven or nothing is due."""
        return int(await self._read(CLAIMABLE, at, campaign, line.to_abi()))

    async def cut_payable(self, campaign: int, index: int, at: BlockStamp | None = None) -> int:
        """Base units that cut ``index`` would pay now."""
        return int(await self._read(CUT_PAYABLE, at, campaign, index))

    async def refundable(self, campaign: int, at: BlockStamp | None = None) -> int:
        """Base units that a refund would pay now; 0 while it is not open."""
        return int(await self._read(REFUNDABLE, at, campaign))

    async def liabilities(self, token: Address, at: BlockStamp | None = None) -> int:
        """Base units of ``token`` deposited (bonds too) less refunds and booked payouts.

        More than what is owed by every campaign's ``unbooked_base_units``.
        """
        return int(await self._read(LIABILITIES, at, address_argument(token)))

    async def line_leaf(self, campaign: int, publisher: int, counts: Counts) -> Hash:
        """The contract's leaf of a line."""
        return bytes(await self._read(LINE_LEAF, None, campaign, publisher, _counts(counts)))

    async def statement_digest(self, statement: Statement) -> Hash:
        """The contract's EIP-712 digest of a statement."""
        return bytes(await self._read(STATEMENT_DIGEST, None, statement_to_abi(statement)))

    async def domain_separator(self) -> Hash:
        """The contract's EIP-712 domain separator."""
        return bytes(await self._read(DOMAIN_SEPARATOR, None))

    async def first_campaign(self) -> int:
        """Id of the first campaign opened here."""
        return int(await self._read(FIRST_CAMPAIGN, None))

    def open_campaign_call(self, terms: Terms) -> Call:
        """Open a campaign (an active advertiser's account)."""
        return self._call(OPEN_CAMPAIGN, terms_to_abi(terms))

    def end_campaign_call(self, campaign: int) -> Call:
        """End the flight early, after the terms' notice (the advertiser)."""
        return self._call(END_CAMPAIGN, campaign)

    def fund_call(self, campaign: int, amount: int) -> Call:
        """Deposit ``amount`` base units that the escrow is allowed to take from the caller."""
        return self._call(FUND, campaign, amount)

    def fund_with_permit_call(
        self, campaign: int, amount: int, deadline_seconds: int, signature: bytes
    ) -> Call:
        """Deposit by a signed permit (65 bytes r || s || v over ``Token.permit_digest``)."""
        r, s, v = signature[:32], signature[32:64], signature[64]
        return self._call(FUND_WITH_PERMIT, campaign, amount, deadline_seconds, v, r, s)

    def offer_order_call(
        self, campaign: int, publisher: int, rates: Rates, cap_base_units: int
    ) -> Call:
        """Offer an order, or replace an offer not yet accepted (the advertiser)."""
        return self._call(OFFER_ORDER, campaign, publisher, _rates(rates), cap_base_units)

    def accept_order_call(self, campaign: int, rates: Rates, cap_base_units: int) -> Call:
        """Accept exactly this offer (the publisher)."""
        return self._call(ACCEPT_ORDER, campaign, _rates(rates), cap_base_units)

    def end_order_call(self, campaign: int, publisher: int) -> Call:
        """End an accepted order after the notice."""
        return self._call(END_ORDER, campaign, publisher)

    def settle_call(self, statement: Statement, quorum: Quorum) -> Call:
        """Submit the next statement (anyone)."""
        return self._call(SETTLE, statement_to_abi(statement), quorum.to_abi())

    def claim_call(self, campaign: int, line: ClaimLine) -> Call:
        """Pay one publisher (anyone)."""
        return self._call(CLAIM, campaign, line.to_abi())

    def claim_many_call(self, batch: ClaimBatch) -> Call:
        """Pay many publishers (anyone); send it with ``claim_many_gas``, never an estimate."""
        lines = [line.to_abi() for line in batch.lines]
        return self._call(CLAIM_MANY, batch.campaign, batch.node, list(batch.node_proof), lines)

    def pay_cut_call(self, campaign: int, index: int) -> Call:
        """Pay an intermediary (anyone)."""
        return self._call(PAY_CUT, campaign, index)

    def refund_call(self, campaign: int) -> Call:
        """Pay the advertiser what is not owed, once that is open."""
        return self._call(REFUND, campaign)

    def object_to_call(self, campaign: int, sequence: int, reason: str) -> Call:
        """Object to the latest statement while it is pending (the advertiser); costs the bond."""
        return self._call(OBJECT_TO, campaign, sequence, reason)

    def release_objection_bond_call(self, campaign: int) -> Call:
        """Pay out the bond of a decided objection (anyone)."""
        return self._call(RELEASE_OBJECTION_BOND, campaign)

    def book_payouts_call(self, campaign: int) -> Call:
        """Take the campaign's claims and cuts off ``liabilities`` (anyone)."""
        return self._call(BOOK_PAYOUTS, campaign)

    def recover_surplus_call(self, token: Address, to: Address) -> Call:
        """Take out tokens above all liabilities (treasurer)."""
        return self._call(RECOVER_SURPLUS, address_argument(token), address_argument(to))

    def pause_call(self) -> Call:
        """Stop opening, funding, offering and accepting (pauser)."""
        return self._call(PAUSE)

    def unpause_call(self) -> Call:
        """Resume (pauser)."""
        return self._call(UNPAUSE)

    def _call(self, function: Function, *arguments: object) -> Call:
        return Call(self.address, function.encode(*arguments))


def claim_many_gas(batch: ClaimBatch) -> int:
    """A gas limit with room for every line.

    An estimate must not be used: a node searches the least gas with which the call as a whole
    succeeds, and a batch in which every line runs out of gas and is skipped does succeed.
    """
    proof_words = len(batch.node_proof) + sum(len(line.proof) for line in batch.lines)
    return 100_000 + 180_000 * len(batch.lines) + 1_500 * proof_words


def decode_statement_submitted(log: ChainLog) -> StatementSubmitted:
    """Raises InvalidInput if the log is another event."""
    values = STATEMENT_SUBMITTED.decode(log)
    return StatementSubmitted(statement_from_abi(values["statement"]), values["activatesAt"])


def decode_objection_raised(log: ChainLog) -> ObjectionRaised:
    """Raises InvalidInput if the log is another event."""
    values = OBJECTION_RAISED.decode(log)
    return ObjectionRaised(
        values["campaign"],
        values["sequence"],
        values["bond"],
        values["activatesAt"],
        values["reason"],
    )


def decode_objection_decided(log: ChainLog) -> ObjectionDecided:
    """Raises InvalidInput if the log is another event."""
    values = OBJECTION_DECIDED.decode(log)
    return ObjectionDecided(values["campaign"], values["sequence"], values["isUpheld"])


def decode_objection_bond_released(log: ChainLog) -> ObjectionBondReleased:
    """Raises InvalidInput if the log is another event."""
    values = OBJECTION_BOND_RELEASED.decode(log)
    return ObjectionBondReleased(values["campaign"], address_result(values["to"]), values["amount"])


def decode_claimed(log: ChainLog) -> Claimed:
    """Raises InvalidInput if the log is another event."""
    values = CLAIMED.decode(log)
    return Claimed(
        values["campaign"],
        values["publisher"],
        address_result(values["payout"]),
        values["amount"],
        values["paidTotal"],
    )


def decode_claim_skipped(log: ChainLog) -> ClaimSkipped:
    """Raises InvalidInput if the log is another event."""
    values = CLAIM_SKIPPED.decode(log)
    return ClaimSkipped(values["campaign"], values["publisher"], values["reason"])


def decode_cut_paid(log: ChainLog) -> CutPaid:
    """Raises InvalidInput if the log is another event."""
    values = CUT_PAID.decode(log)
    return CutPaid(
        values["campaign"],
        values["member"],
        address_result(values["payout"]),
        values["amount"],
        values["paidTotal"],
    )


def decode_refunded(log: ChainLog) -> Refunded:
    """Raises InvalidInput if the log is another event."""
    values = REFUNDED.decode(log)
    return Refunded(
        values["campaign"],
        address_result(values["to"]),
        values["amount"],
        values["refundedTotal"],
    )


def terms_to_abi(terms: Terms) -> tuple[object, ...]:
    """In the order of the Solidity struct."""
    return (
        address_argument(terms.token),
        terms.flight_start_seconds,
        terms.flight_end_seconds,
        terms.late_window_seconds,
        terms.correction_window_seconds,
        terms.dispute_window_seconds,
        terms.grace_seconds,
        terms.notice_seconds,
        terms.attestor_set,
        terms.holdback_basis_points,
        terms.objection_bond_base_units,
        int(terms.goal_type),
        terms.goal_count,
        terms.settle_threshold_base_units,
        [(cut.member, cut.basis_points) for cut in terms.cuts],
    )


def terms_from_abi(row: Any) -> Terms:
    """What ``terms_to_abi`` writes."""
    return Terms(
        token=address_result(row[0]),
        flight_start_seconds=row[1],
        flight_end_seconds=row[2],
        late_window_seconds=row[3],
        correction_window_seconds=row[4],
        dispute_window_seconds=row[5],
        grace_seconds=row[6],
        notice_seconds=row[7],
        attestor_set=row[8],
        holdback_basis_points=row[9],
        objection_bond_base_units=row[10],
        goal_type=GoalType(row[11]),
        goal_count=row[12],
        settle_threshold_base_units=row[13],
        cuts=tuple(Cut(*cut) for cut in row[14]),
    )


def statement_to_abi(statement: Statement) -> tuple[object, ...]:
    """In the order of the Solidity struct (counts nested)."""
    return (
        statement.campaign,
        statement.sequence,
        statement.tree_size,
        statement.lines_total_base_units,
        _counts(statement.counts),
        statement.corrections,
        statement.lines_root,
        statement.is_final,
    )


def statement_from_abi(row: Any) -> Statement:
    """What ``statement_to_abi`` writes."""
    return Statement(row[0], row[1], row[2], row[3], Counts(*row[4]), row[5], row[6], row[7])


def _counts(counts: Counts) -> tuple[int, int, int, int]:
    return (counts.impressions, counts.viewables, counts.clicks, counts.conversions)


def _rates(rates: Rates) -> tuple[int, int, int, int]:
    return (
        rates.per_mille_impressions,
        rates.per_mille_viewables,
        rates.per_click,
        rates.per_conversion,
    )
