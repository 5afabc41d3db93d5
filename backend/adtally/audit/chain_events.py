"""Decodes the contract events that say what was anchored, settled and paid.

Pure ABI decoding: an audit needs neither compiler nor contract sources. The signatures are those
of ``IEventLog``, ``ICampaignEscrow`` and ``IMembership``; a test compares them with the compiled
ABI. Events that are facts of the log (campaigns, orders) are decoded by
``adtally.verification.chain_logs``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from eth_abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils import keccak, to_canonical_address

from adtally.errors import InvalidInput
from adtally.types import Address, ChainLog, Counts, Hash, Statement


class Contract(Enum):
    """Which of the deployment's contracts emitted a log; the value is its name in the file."""

    MEMBERSHIP = "membership"
    EVENT_LOG = "event_log"
    CAMPAIGN_ESCROW = "campaign_escrow"


@dataclass(frozen=True, slots=True)
class Anchored:
    """A checkpoint was stored on chain; anchors are numbered from 1."""

    tree_size: int
    root_hash: Hash
    number: int


@dataclass(frozen=True, slots=True)
class StatementSubmitted:
    """A statement with a quorum of attestations was accepted."""

    statement: Statement
    activates_at_seconds: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A publisher was paid up to its line in the active statement."""

    campaign: int
    publisher: int
    payout: Address
    amount_base_units: int
    paid_total_base_units: int


@dataclass(frozen=True, slots=True)
class CutPaid:
    """An intermediary was paid up to its cut of the active statement."""

    campaign: int
    member: int
    payout: Address
    amount_base_units: int
    paid_total_base_units: int


@dataclass(frozen=True, slots=True)
class Refunded:
    """The advertiser took back what is not reserved."""

    campaign: int
    to: Address
    amount_base_units: int
    refunded_total_base_units: int


@dataclass(frozen=True, slots=True)
class ObjectionRaised:
    """The advertiser objected to the newest statement, paid the bond, and moved its activation."""

    campaign: int
    sequence: int
    bond_base_units: int
    activates_at_seconds: int


@dataclass(frozen=True, slots=True)
class ObjectionDecided:
    """The statement after ``sequence`` has decided the objection to it."""

    campaign: int
    sequence: int
    is_upheld: bool


@dataclass(frozen=True, slots=True)
class ObjectionBondReleased:
    """The bond left the escrow: to the advertiser, or burned."""

    campaign: int
    to: Address
    amount_base_units: int


@dataclass(frozen=True, slots=True)
class Funded:
    """A deposit was booked."""

    campaign: int
    sender: Address
    amount_base_units: int
    funded_total_base_units: int


@dataclass(frozen=True, slots=True)
class PayoutRegistered:
    """A member was registered with its first payout address (event MemberRegistered)."""

    member: int
    payout: Address


@dataclass(frozen=True, slots=True)
class PayoutChangeRequested:
    """A member asked for another payout address, effective later."""

    member: int
    payout: Address
    effective_from_seconds: int


@dataclass(frozen=True, slots=True)
class PayoutChangeCancelled:
    """A member withdrew a change that was not yet effective."""

    member: int


AuditedEvent = (
    Anchored
    | StatementSubmitted
    | Claimed
    | CutPaid
    | Refunded
    | ObjectionRaised
    | ObjectionDecided
    | ObjectionBondReleased
    | Funded
    | PayoutRegistered
    | PayoutChangeRequested
    | PayoutChangeCancelled
)


@dataclass(frozen=True, slots=True)
class EventFormat:
    """How one Solidity event is written; its indexed parameters come first."""

    contract: Contract
    name: str
    indexed: tuple[str, ...]
    data: tuple[str, ...]
    build: Callable[[list[Any]], AuditedEvent]
    """Gets the values in order of declaration."""

    @property
    def signature(self) -> str:
        return f"{self.name}({','.join(self.indexed + self.data)})"

    @property
    def topic(self) -> bytes:
        return keccak(self.signature.encode())


_COUNTS = "(uint64,uint64,uint64,uint64)"
_STATEMENT = f"(uint32,uint32,uint64,uint128,{_COUNTS},uint64,bytes32,bool)"


def _statement_submitted(values: list[Any]) -> StatementSubmitted:
    campaign, sequence, raw, activates_at = values
    statement = Statement(raw[0], raw[1], raw[2], raw[3], Counts(*raw[4]), raw[5], raw[6], raw[7])
    if (statement.campaign, statement.sequence) != (campaign, sequence):
        raise ValueError("topics and statement name different statements")
    return StatementSubmitted(statement, activates_at)


AUDITED_EVENTS = (
    EventFormat(
        Contract.EVENT_LOG,
        "Anchored",
        ("uint64",),
        ("bytes32", "uint64"),
        lambda v: Anchored(*v),
    ),
    EventFormat(
        Contract.CAMPAIGN_ESCROW,
        "StatementSubmitted",
        ("uint32", "uint32"),
        (_STATEMENT, "uint64"),
        _statement_submitted,
    ),
    EventFormat(
        Contract.CAMPAIGN_ESCROW,
        "Claimed",
        ("uint32", "uint32"),
        ("address", "uint128", "uint128"),
        lambda v: Claimed(v[0], v[1], to_canonical_address(v[2]), v[3], v[4]),
    ),
    EventFormat(
        Contract.CAMPAIGN_ESCROW,
        "CutPaid",
        ("uint32", "uint32"),
        ("address", "uint128", "uint128"),
        lambda v: CutPaid(v[0], v[1], to_canonical_address(v[2]), v[3], v[4]),
    ),
    EventFormat(
        Contract.CAMPAIGN_ESCROW,
        "Refunded",
        ("uint32",),
        ("address", "uint128", "uint128"),
        lambda v: Refunded(v[0], to_canonical_address(v[1]), v[2], v[3]),
    ),
    EventFormat(
        Contract.CAMPAIGN_ESCROW,
        "ObjectionRaised",
        ("uint32", "uint32"),
        ("uint128", "uint64", "string"),
        lambda v: ObjectionRaised(*v[:4]),
    ),
    EventFormat(
        Contract.CAMPAIGN_ESCROW,
        "ObjectionDecided",
        ("uint32", "uint32"),
        ("bool",),
        lambda v: ObjectionDecided(*v),
    ),
    EventFormat(
        Contract.CAMPAIGN_ESCROW,
        "ObjectionBondReleased",
        ("uint32",),
        ("address", "uint128"),
        lambda v: ObjectionBondReleased(v[0], to_canonical_address(v[1]), v[2]),
    ),
    EventFormat(
        Contract.CAMPAIGN_ESCROW,
        "Funded",
        ("uint32", "address"),
        ("uint128", "uint128"),
        lambda v: Funded(v[0], to_canonical_address(v[1]), v[2], v[3]),
    ),
    EventFormat(
        Contract.MEMBERSHIP,
        "MemberRegistered",
        ("uint32", "address"),
        ("uint8", "bytes32", "uint64", "address", "address"),
        lambda v: PayoutRegistered(v[0], to_canonical_address(v[6])),
    ),
    EventFormat(
        Contract.MEMBERSHIP,
        "PayoutChangeRequested",
        ("uint32",),
        ("address", "uint64"),
        lambda v: PayoutChangeRequested(v[0], to_canonical_address(v[1]), v[2]),
    ),
    EventFormat(
        Contract.MEMBERSHIP,
        "PayoutChangeCancelled",
        ("uint32",),
        ("address",),
        lambda v: PayoutChangeCancelled(v[0]),
    ),
)

_BY_TOPIC = {(each.contract, each.topic): each for each in AUDITED_EVENTS}


def decode_event(contract: Contract, log: ChainLog) -> AuditedEvent | None:
    """What a log says, or None when it is of an event that the audit does not follow.

    Raises:
        InvalidInput: the topic is one of ours but the bytes don't decode.
    """
    form = _BY_TOPIC.get((contract, log.topics[0])) if log.topics else None
    if form is None:
        return None
    try:
        values = [
            decode([kind], topic)[0]
            for kind, topic in zip(form.indexed, log.topics[1:], strict=True)
        ]
        return form.build([*values, *decode(list(form.data), log.data)])
    except (DecodingError, OverflowError, ValueError) as error:
        raise InvalidInput(
            f"a {form.name} event does not decode",
            field=f"transaction 0x{log.transaction_hash.hex()}",
            expected=form.signature,
            found=str(error),
        ) from None
