"""Decodes the watched contract logs into typed changes of facts.

The signatures below are those of ``IMembership`` and ``ICampaignEscrow``; a test compares them
with the compiled ABI. Logs with another first topic are not facts and never enter the log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eth_abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils import keccak, to_canonical_address

from adtally.errors import InvalidInput
from adtally.events.facts import ContractCode, FactLog
from adtally.types import Address, Cut, GoalType, Rates, Terms

_TERMS = (
    "(address,uint64,uint64,uint32,uint32,uint32,uint32,uint32,uint32,uint16,uint128,uint8,uint64,"
    "uint128,(uint32,uint16)[])"
)
_RATES = "(uint80,uint80,uint80,uint80)"


@dataclass(frozen=True, slots=True)
class MemberRegistered:
    member: int
    account: Address
    roles: int
    kyc_expires_seconds: int
    event_key: Address


@dataclass(frozen=True, slots=True)
class RolesChanged:
    member: int
    roles: int


@dataclass(frozen=True, slots=True)
class KycRenewed:
    member: int
    kyc_expires_seconds: int


@dataclass(frozen=True, slots=True)
class EventKeyChanged:
    member: int
    event_key: Address
    previous_event_key: Address
    previous_valid_until_seconds: int


@dataclass(frozen=True, slots=True)
class CampaignOpened:
    campaign: int
    advertiser: int
    terms: Terms


@dataclass(frozen=True, slots=True)
class CampaignEnded:
    campaign: int
    flight_end_seconds: int


@dataclass(frozen=True, slots=True)
class Funded:
    campaign: int
    funded_total_base_units: int


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    campaign: int
    publisher: int
    rates: Rates
    cap_base_units: int


@dataclass(frozen=True, slots=True)
class OrderEnded:
    campaign: int
    publisher: int
    ends_at_seconds: int


FactChange = (
    MemberRegistered
    | RolesChanged
    | KycRenewed
    | EventKeyChanged
    | CampaignOpened
    | CampaignEnded
    | Funded
    | OrderAccepted
    | OrderEnded
)


@dataclass(frozen=True, slots=True)
class WatchedEvent:
    """One Solidity event that is a fact: where it comes from and how to read it."""

    contract: ContractCode
    name: str
    indexed: tuple[str, ...]
    data: tuple[str, ...]
    build: Callable[[list[Any]], FactChange]
    """Gets the indexed values, then the data values, in order of declaration in each group."""

    @property
    def signature(self) -> str:
        return f"{self.name}({','.join(self._declared)})"

    @property
    def _declared(self) -> tuple[str, ...]:
        # In every watched event the indexed parameters come first.
        return self.indexed + self.data

    @property
    def topic(self) -> bytes:
        return keccak(self.signature.encode())


def _terms(raw: tuple[Any, ...]) -> Terms:
    return Terms(
        token=to_canonical_address(raw[0]),
        flight_start_seconds=raw[1],
        flight_end_seconds=raw[2],
        late_window_seconds=raw[3],
        correction_window_seconds=raw[4],
        dispute_window_seconds=raw[5],
        grace_seconds=raw[6],
        notice_seconds=raw[7],
        attestor_set=raw[8],
        holdback_basis_points=raw[9],
        objection_bond_base_units=raw[10],
        goal_type=GoalType(raw[11]),
        goal_count=raw[12],
        settle_threshold_base_units=raw[13],
        cuts=tuple(Cut(member, bps) for member, bps in raw[14]),
    )


_M = ContractCode.MEMBERSHIP
_E = ContractCode.CAMPAIGN_ESCROW
WATCHED_EVENTS = (
    WatchedEvent(
        _M,
        "MemberRegistered",
        ("uint32", "address"),
        ("uint8", "bytes32", "uint64", "address", "address"),
        lambda v: MemberRegistered(
            v[0], to_canonical_address(v[1]), v[2], v[4], to_canonical_address(v[5])
        ),
    ),
    WatchedEvent(_M, "RolesChanged", ("uint32",), ("uint8",), lambda v: RolesChanged(v[0], v[1])),
    WatchedEvent(
        _M, "KycRenewed", ("uint32",), ("bytes32", "uint64"), lambda v: KycRenewed(v[0], v[2])
    ),
    WatchedEvent(
        _M,
        "EventKeyChanged",
        ("uint32",),
        ("address", "address", "uint64"),
        lambda v: EventKeyChanged(
            v[0], to_canonical_address(v[1]), to_canonical_address(v[2]), v[3]
        ),
    ),
    WatchedEvent(
        _E,
        "CampaignOpened",
        ("uint32", "uint32"),
        (_TERMS,),
        lambda v: CampaignOpened(v[0], v[1], _terms(v[2])),
    ),
    WatchedEvent(
        _E, "CampaignEnded", ("uint32",), ("uint64",), lambda v: CampaignEnded(v[0], v[1])
    ),
    WatchedEvent(
        _E,
        "Funded",
        ("uint32", "address"),
        ("uint128", "uint128"),
        lambda v: Funded(v[0], v[3]),
    ),
    WatchedEvent(
        _E,
        "OrderAccepted",
        ("uint32", "uint32"),
        (_RATES, "uint128"),
        lambda v: OrderAccepted(v[0], v[1], Rates(*v[2]), v[3]),
    ),
    WatchedEvent(
        _E,
        "OrderEnded",
        ("uint32", "uint32"),
        ("uint64",),
        lambda v: OrderEnded(v[0], v[1], v[2]),
    ),
)

_BY_TOPIC = {(event.contract, event.topic): event for event in WATCHED_EVENTS}


def is_watched(contract: ContractCode, topics: tuple[bytes, ...]) -> bool:
    """Whether a log belongs into chain facts."""
    return bool(topics) and (contract, topics[0]) in _BY_TOPIC


def decode_log(log: FactLog) -> FactChange:
    """The change a watched log makes.

    Raises:
        InvalidInput: not a watched event, or its bytes don't decode.
    """
    event = _BY_TOPIC.get((log.contract, log.topics[0])) if log.topics else None
    if event is None or len(log.topics) != 1 + len(event.indexed):
        raise InvalidInput(
            "a log in chain facts is not of a watched event",
            field="chain facts",
            expected="one of " + ", ".join(watched.name for watched in WATCHED_EVENTS),
            found=log.topics[0].hex() if log.topics else "no topic",
        )
    try:
        values = [
            decode([kind], topic)[0]
            for kind, topic in zip(event.indexed, log.topics[1:], strict=True)
        ]
        values += decode(list(event.data), log.data)
        return event.build(values)
    except (DecodingError, OverflowError, ValueError) as error:
        raise InvalidInput(
            f"a {event.name} log does not decode",
            field="chain facts",
            expected=event.signature,
            found=str(error),
        ) from None
