"""ERC-20 tokens with ERC-2612 permits: what the escrow is funded with."""

from __future__ import annotations

from typing import Any

from eth_utils import keccak

from adtally.chain.abi import Call, Function, address_argument
from adtally.chain.connection import Chain
from adtally.types import Address, BlockStamp, Hash

BALANCE_OF = Function("balanceOf(address)", "uint256")
ALLOWANCE = Function("allowance(address,address)", "uint256")
TOTAL_SUPPLY = Function("totalSupply()", "uint256")
DECIMALS = Function("decimals()", "uint8")
SYMBOL = Function("symbol()", "string")
NONCES = Function("nonces(address)", "uint256")
DOMAIN_SEPARATOR = Function("DOMAIN_SEPARATOR()", "bytes32")
APPROVE = Function("approve(address,uint256)", "bool")
TRANSFER = Function("transfer(address,uint256)", "bool")
MINT = Function("mint(address,uint256)")

_PERMIT_TYPEHASH = keccak(
    b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)


class Token:
    """Reads and calls of the token at ``address``. Amounts are base units."""

    def __init__(self, chain: Chain, address: Address) -> None:
        self.chain = chain
        self.address = address

    async def _read(self, function: Function, at: BlockStamp | None, *args: object) -> Any:
        return function.decode(await self.chain.call(self.address, function.encode(*args), at))

    async def balance_of(self, holder: Address, at: BlockStamp | None = None) -> int:
        """What ``holder`` has."""
        return int(await self._read(BALANCE_OF, at, address_argument(holder)))

    async def allowance(
        self, owner: Address, spender: Address, at: BlockStamp | None = None
    ) -> int:
        """What ``spender`` may take from ``owner``."""
        arguments = (address_argument(owner), address_argument(spender))
        return int(await self._read(ALLOWANCE, at, *arguments))

    async def total_supply(self, at: BlockStamp | None = None) -> int:
        """All that exists."""
        return int(await self._read(TOTAL_SUPPLY, at))

    async def decimals(self) -> int:
        """Digits of a whole token after the point."""
        return int(await self._read(DECIMALS, None))

    async def symbol(self) -> str:
        """The ticker."""
        return str(await self._read(SYMBOL, None))

    async def permit_digest(
        self, owner: Address, spender: Address, value: int, deadline_seconds: int
    ) -> Hash:
        """What ``owner`` signs (ERC-2612) so that ``spender`` may take ``value``, once."""
        nonce = int(await self._read(NONCES, None, address_argument(owner)))
        domain = bytes(await self._read(DOMAIN_SEPARATOR, None))
        words = (
            owner.rjust(32, b"\0"),
            spender.rjust(32, b"\0"),
            *(number.to_bytes(32, "big") for number in (value, nonce, deadline_seconds)),
        )
        return keccak(b"\x19\x01" + domain + keccak(_PERMIT_TYPEHASH + b"".join(words)))

    def approve_call(self, spender: Address, amount: int) -> Call:
        """Let ``spender`` take ``amount`` from the caller."""
        return Call(self.address, APPROVE.encode(address_argument(spender), amount))

    def transfer_call(self, to: Address, amount: int) -> Call:
        """Move ``amount`` from the caller."""
        return Call(self.address, TRANSFER.encode(address_argument(to), amount))

    def mint_call(self, to: Address, amount: int) -> Call:
        """Make money out of nothing: mock dollars of local chains only."""
        return Call(self.address, MINT.encode(address_argument(to), amount))
