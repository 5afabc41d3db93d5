"""Membership: members, roles, keys and attestor sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adtally.chain.abi import (
    Call,
    Event,
    Function,
    address_argument,
    address_result,
    address_results,
)
from adtally.chain.connection import Chain
from adtally.chain.contracts.quorum import QUORUM, Quorum
from adtally.types import Address, BlockStamp, ChainLog, Hash

_MEMBER = "(address,uint8,uint64,bytes32,address,address,uint64,address,address,uint64)"

REGISTER = Function("register(address,uint8,bytes32,uint64,address,address)")
SET_ROLES = Function("setRoles(uint32,uint8)")
RENEW_KYC = Function("renewKyc(uint32,bytes32,uint64)")
CHANGE_EVENT_KEY = Function("changeEventKey(address,uint32)")
REQUEST_PAYOUT_CHANGE = Function("requestPayoutChange(address)")
CANCEL_PAYOUT_CHANGE = Function("cancelPayoutChange()")
CREATE_ATTESTOR_SET = Function("createAttestorSet(address[],uint8)")
NAME_SUCCESSOR = Function(f"nameSuccessor(uint32,address[],uint8,{QUORUM})")
REQUIRE_QUORUM = Function(f"requireQuorum(uint32,bytes32,{QUORUM})")
MEMBER = Function("member(uint32)", _MEMBER)
MEMBER_OF = Function("memberOf(address)", "uint32")
IS_ACTIVE = Function("isActive(uint32,uint8)", "bool")
PAYOUT_OF = Function("payoutOf(uint32)", "address")
ATTESTOR_SET = Function("attestorSet(uint32)", "uint32,bytes32")
MEMBER_COUNT = Function("memberCount()", "uint32")
PAYOUT_DELAY = Function("PAYOUT_DELAY()", "uint32")

MEMBER_REGISTERED = Event(
    "MemberRegistered(uint32 indexed member,address indexed account,uint8 roles,"
    "bytes32 kycReference,uint64 kycExpires,address eventKey,address payout)"
)
ATTESTOR_SET_NAMED = Event(
    "AttestorSetNamed(uint32 indexed set,uint32 indexed version,uint8 threshold,"
    "address[] attestors)"
)

_ZERO = bytes(20)


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member as the contract has it; ``roles`` is the bit set of ``types.Role`` values."""

    account: Address
    roles: int
    kyc_expires_seconds: int
    kyc_reference: Hash
    event_key: Address
    previous_event_key: Address
    previous_event_key_valid_until_seconds: int
    payout: Address
    pending_payout: Address
    pending_payout_from_seconds: int


@dataclass(frozen=True, slots=True)
class AttestorSetNamed:
    """A set got a new version; every version of a set is one such event."""

    attestor_set: int
    version: int
    threshold: int
    attestors: tuple[Address, ...]


class Membership:
    """Reads and calls of the Membership contract at ``address``."""

    def __init__(self, chain: Chain, address: Address) -> None:
        self.chain = chain
        self.address = address

    async def _read(self, function: Function, at: BlockStamp | None, *args: object) -> object:
        answer = await self.chain.call(self.address, function.encode(*args), at)
        return function.decode(answer)

    async def member(self, member: int, at: BlockStamp | None = None) -> MemberView:
        """All fields of a member. Raises ChainReverted (MemberUnknown)."""
        row = MEMBER.decode(await self.chain.call(self.address, MEMBER.encode(member), at))
        return MemberView(
            account=address_result(row[0]),
            roles=row[1],
            kyc_expires_seconds=row[2],
            kyc_reference=row[3],
            event_key=address_result(row[4]),
            previous_event_key=address_result(row[5]),
            previous_event_key_valid_until_seconds=row[6],
            payout=address_result(row[7]),
            pending_payout=address_result(row[8]),
            pending_payout_from_seconds=row[9],
        )

    async def member_of(self, account: Address, at: BlockStamp | None = None) -> int:
        """Id of the member with this account, 0 if none."""
        return _int(await self._read(MEMBER_OF, at, address_argument(account)))

    async def is_active(self, member: int, roles: int, at: BlockStamp | None = None) -> bool:
        """Whether the member has any of ``roles`` (a bit set) and an unexpired KYC."""
        return bool(await self._read(IS_ACTIVE, at, member, roles))

    async def payout_of(self, member: int, at: BlockStamp | None = None) -> Address:
        """Where the member's money goes, due changes included."""
        return address_result(str(await self._read(PAYOUT_OF, at, member)))

    async def attestor_set(
        self, attestor_set: int, at: BlockStamp | None = None
    ) -> tuple[int, Hash]:
        """Current version (0 if unknown) and keccak256(abi.encode(threshold, attestors))."""
        data = ATTESTOR_SET.encode(attestor_set)
        version, set_hash = ATTESTOR_SET.decode(await self.chain.call(self.address, data, at))
        return version, set_hash

    async def member_count(self, at: BlockStamp | None = None) -> int:
        """Number of members; ids run from 1 to it."""
        return _int(await self._read(MEMBER_COUNT, at))

    async def payout_delay_seconds(self, at: BlockStamp | None = None) -> int:
        """Seconds between a payout change's request and its effect."""
        return _int(await self._read(PAYOUT_DELAY, at))

    async def require_quorum(
        self, attestor_set: int, digest: Hash, quorum: Quorum, at: BlockStamp | None = None
    ) -> None:
        """Raises ChainReverted unless the quorum is valid for ``digest``."""
        data = REQUIRE_QUORUM.encode(attestor_set, digest, quorum.to_abi())
        await self.chain.call(self.address, data, at)

    def register_call(
        self,
        account: Address,
        roles: int,
        *,
        kyc_reference: Hash,
        kyc_expires_seconds: int,
        event_key: Address = _ZERO,
        payout: Address | None = None,
    ) -> Call:
        """Register a member (registrar). ``payout`` None pays to ``account``."""
        return self._call(
            REGISTER,
            address_argument(account),
            roles,
            kyc_reference,
            kyc_expires_seconds,
            address_argument(event_key),
            address_argument(account if payout is None else payout),
        )

    def set_roles_call(self, member: int, roles: int) -> Call:
        """Change a member's roles (registrar)."""
        return self._call(SET_ROLES, member, roles)

    def renew_kyc_call(self, member: int, reference: Hash, expires_seconds: int) -> Call:
        """Renew or expire a member's KYC (registrar)."""
        return self._call(RENEW_KYC, member, reference, expires_seconds)

    def change_event_key_call(self, event_key: Address, overlap_seconds: int) -> Call:
        """Replace the caller's event key; the old one stays valid for the overlap."""
        return self._call(CHANGE_EVENT_KEY, address_argument(event_key), overlap_seconds)

    def request_payout_change_call(self, payout: Address) -> Call:
        """Ask for another payout address; it takes effect after the delay."""
        return self._call(REQUEST_PAYOUT_CHANGE, address_argument(payout))

    def cancel_payout_change_call(self) -> Call:
        """Withdraw the caller's pending payout change."""
        return self._call(CANCEL_PAYOUT_CHANGE)

    def create_attestor_set_call(self, attestors: Sequence[Address], threshold: int) -> Call:
        """Create a set; the attestors are put in ascending order here."""
        ordered = [address_argument(attestor) for attestor in sorted(attestors)]
        return self._call(CREATE_ATTESTOR_SET, ordered, threshold)

    def name_successor_call(
        self, attestor_set: int, attestors: Sequence[Address], threshold: int, quorum: Quorum
    ) -> Call:
        """Name a set's next version, signed by a quorum of its current one."""
        ordered = [address_argument(attestor) for attestor in sorted(attestors)]
        return self._call(NAME_SUCCESSOR, attestor_set, ordered, threshold, quorum.to_abi())

    def _call(self, function: Function, *arguments: object) -> Call:
        return Call(self.address, function.encode(*arguments))


def decode_attestor_set_named(log: ChainLog) -> AttestorSetNamed:
    """Raises InvalidInput if the log is another event."""
    values = ATTESTOR_SET_NAMED.decode(log)
    return AttestorSetNamed(
        values["set"], values["version"], values["threshold"], address_results(values["attestors"])
    )


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
