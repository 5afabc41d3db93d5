"""Membership: members, their roles and keys."""

from __future__ import annotations

from dataclasses import dataclass

from adtally.chain.abi import Call, Event, Function, address_argument, address_result
from adtally.chain.connection import Chain
from adtally.types import Address, BlockStamp, Hash

_MEMBER = "(address,uint8,uint64,bytes32,address,address,address,uint64)"

REGISTER = Function("register(address,uint8,bytes32,uint64,address,address)")
SET_ROLES = Function("setRoles(uint32,uint8)")
RENEW_KYC = Function("renewKyc(uint32,bytes32,uint64)")
CHANGE_EVENT_KEY = Function("changeEventKey(address,uint32)")
REQUEST_PAYOUT_CHANGE = Function("requestPayoutChange(address)")
CANCEL_PAYOUT_CHANGE = Function("cancelPayoutChange()")
MEMBER = Function("member(uint32)", _MEMBER)
MEMBER_OF = Function("memberOf(address)", "uint32")
IS_ACTIVE = Function("isActive(uint32,uint8)", "bool")
PAYOUT_OF = Function("payoutOf(uint32)", "address")
EVENT_KEY_VALID_UNTIL = Function("eventKeyValidUntil(uint32,address)", "uint64")
MEMBER_COUNT = Function("memberCount()", "uint32")
PAYOUT_DELAY = Function("PAYOUT_DELAY()", "uint32")

MEMBER_REGISTERED = Event(
    "MemberRegistered(uint32 indexed member,address indexed account,uint8 roles,"
    "bytes32 kycReference,uint64 kycExpires,address eventKey,address payout)"
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
    payout: Address
    pending_payout: Address
    pending_payout_from_seconds: int


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
            payout=address_result(row[5]),
            pending_payout=address_result(row[6]),
            pending_payout_from_seconds=row[7],
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

    async def event_key_valid_until_seconds(
        self, member: int, key: Address, at: BlockStamp | None = None
    ) -> int:
        """0 if the key never was the member's, 2^64-1 if it is now, else its overlap's end."""
        return _int(await self._read(EVENT_KEY_VALID_UNTIL, at, member, address_argument(key)))

    async def member_count(self, at: BlockStamp | None = None) -> int:
        """Number of members; ids run from 1 to it."""
        return _int(await self._read(MEMBER_COUNT, at))

    async def payout_delay_seconds(self, at: BlockStamp | None = None) -> int:
        """Seconds between a payout change's request and its effect."""
        return _int(await self._read(PAYOUT_DELAY, at))

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

    def _call(self, function: Function, *arguments: object) -> Call:
        return Call(self.address, function.encode(*arguments))


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
