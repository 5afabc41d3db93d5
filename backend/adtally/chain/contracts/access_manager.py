"""OpenZeppelin AccessManager: who may register members, pause, and recover surplus."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from adtally.chain.abi import Call, Function, address_argument
from adtally.chain.connection import Chain
from adtally.types import Address

GRANT_ROLE = Function("grantRole(uint64,address,uint32)")
REVOKE_ROLE = Function("revokeRole(uint64,address)")
RENOUNCE_ROLE = Function("renounceRole(uint64,address)")
LABEL_ROLE = Function("labelRole(uint64,string)")
SET_TARGET_FUNCTION_ROLE = Function("setTargetFunctionRole(address,bytes4[],uint64)")
HAS_ROLE = Function("hasRole(uint64,address)", "bool,uint32")
SCHEDULE = Function("schedule(address,bytes,uint48)", "bytes32,uint32")
EXECUTE = Function("execute(address,bytes)", "uint32")


class AccessRole(IntEnum):
    """Role ids in AccessManager. None of them can move escrowed money."""

    ADMIN = 0
    """OpenZeppelin's: grants and revokes roles."""
    REGISTRAR = 1
    """Registers members, sets their roles, renews their KYC."""
    PAUSER = 2
    """Stops and resumes opening, funding, offering and accepting."""
    TREASURER = 3
    """Takes out tokens sent to the escrow by mistake."""


class AccessManager:
    """Reads and calls of the AccessManager at ``address``."""

    def __init__(self, chain: Chain, address: Address) -> None:
        self.chain = chain
        self.address = address

    async def has_role(self, role: int, account: Address) -> tuple[bool, int]:
        """Whether the account has the role, and its execution delay in seconds."""
        data = HAS_ROLE.encode(role, address_argument(account))
        has, delay = HAS_ROLE.decode(await self.chain.call(self.address, data))
        return bool(has), int(delay)

    def label_role_call(self, role: int, label: str) -> Call:
        """Name a role (shown by explorers)."""
        return Call(self.address, LABEL_ROLE.encode(role, label))

    def grant_role_call(self, role: int, account: Address, delay_seconds: int) -> Call:
        """Give a role; its holder must schedule calls ``delay_seconds`` ahead."""
        arguments = (role, address_argument(account), delay_seconds)
        return Call(self.address, GRANT_ROLE.encode(*arguments))

    def revoke_role_call(self, role: int, account: Address) -> Call:
        """Take a role away."""
        return Call(self.address, REVOKE_ROLE.encode(role, address_argument(account)))

    def renounce_role_call(self, role: int, account: Address) -> Call:
        """Give up one's own role; ``account`` must be the caller."""
        return Call(self.address, RENOUNCE_ROLE.encode(role, address_argument(account)))

    def target_function_role_call(
        self, target: Address, functions: Sequence[Function], role: int
    ) -> Call:
        """Let holders of ``role`` (and nobody else) call these functions of ``target``."""
        selectors = [function.selector for function in functions]
        data = SET_TARGET_FUNCTION_ROLE.encode(address_argument(target), selectors, role)
        return Call(self.address, data)

    def schedule_call(self, call: Call, when_seconds: int = 0) -> Call:
        """Announce a restricted call whose role has a delay; 0 means as soon as allowed."""
        data = SCHEDULE.encode(address_argument(call.to), call.data, when_seconds)
        return Call(self.address, data)

    def execute_call(self, call: Call) -> Call:
        """Carry out a restricted call that was scheduled."""
        return Call(self.address, EXECUTE.encode(address_argument(call.to), call.data))
