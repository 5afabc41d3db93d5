"""Contract ABI from written signatures: encode calls, decode results, events and errors.

Signatures stand in the wrappers as text, so that an installed package needs no compiler; a test
holds every one of them equal to the compiled interfaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from eth_abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils import keccak

from adtally.errors import ChainUnavailable, InvalidInput
from adtally.types import Address, ChainLog, Hash


@dataclass(frozen=True, slots=True)
class Call:
    """A contract call that is not sent yet."""

    to: Address
    data: bytes


def split_arguments(text: str) -> list[str]:
    """Split at the commas that are outside of parentheses; empty text gives no parts."""
    parts: list[str] = []
    depth = start = 0
    for at, char in enumerate(text):
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts


def _split_signature(signature: str) -> tuple[str, list[str]]:
    name, _, rest = signature.partition("(")
    return name, split_arguments(rest.removesuffix(")"))


@dataclass(frozen=True)
class Function:
    """A contract function, e.g. ``Function("order(uint32,uint32)", "(uint128,uint8)")``.

    ``returns`` lists the result types, comma-separated; a struct result is a tuple type.
    """

    signature: str
    returns: str = ""

    @cached_property
    def selector(self) -> bytes:
        return keccak(self.signature.encode())[:4]

    @cached_property
    def _inputs(self) -> list[str]:
        return _split_signature(self.signature)[1]

    @cached_property
    def _outputs(self) -> list[str]:
        return split_arguments(self.returns)

    def encode(self, *arguments: object) -> bytes:
        """Call data.

        Raises:
            InvalidInput: an argument does not fit its type.
        """
        try:
            return self.selector + encode(self._inputs, arguments)
        except (EncodingError, ValueError, TypeError, OverflowError) as error:
            raise InvalidInput(
                f"arguments don't fit {self.signature}",
                field=_split_signature(self.signature)[0],
                expected=self.signature,
                found=str(error),
            ) from None

    def decode_arguments(self, data: bytes) -> tuple[Any, ...]:
        """What ``encode`` was given.

        Raises:
            InvalidInput: call data of another function, or bytes that don't fit.
        """
        try:
            if data[:4] != self.selector:
                raise ValueError(f"selector 0x{data[:4].hex()}")
            return decode(self._inputs, data[4:])
        except (DecodingError, ValueError, OverflowError) as error:
            raise InvalidInput(
                f"not a call of {self.signature}",
                field="data",
                expected=f"selector 0x{self.selector.hex()} and its arguments",
                found=str(error),
            ) from None

    def decode(self, data: bytes) -> Any:
        """The result: a single value, or a tuple if there are several.

        Raises:
            ChainUnavailable: the bytes are no such result (often: no contract at the address).
        """
        try:
            values = decode(self._outputs, data)
        except (DecodingError, OverflowError, ValueError) as error:
            raise ChainUnavailable(
                f"the answer to {self.signature} can't be decoded",
                expected=f"({self.returns})",
                found=f"{len(data)} bytes: {error}",
                action="check that rpc_url and deployment belong to the same chain",
            ) from None
        return values[0] if len(values) == 1 else values


@dataclass(frozen=True)
class Parameters:
    """Named parameters of an event or error, e.g. ``Failed(uint32 indexed id,bytes reason)``."""

    signature: str
    name: str = field(init=False)
    names: tuple[str, ...] = field(init=False)
    types: tuple[str, ...] = field(init=False)
    indexed: tuple[bool, ...] = field(init=False)

    def __post_init__(self) -> None:
        name, arguments = _split_signature(self.signature)
        # The type is everything before the first space outside of parentheses.
        split = [argument.rsplit(" ", argument.count(" ")) for argument in arguments]
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "types", tuple(parts[0] for parts in split))
        object.__setattr__(self, "names", tuple(parts[-1] for parts in split))
        object.__setattr__(self, "indexed", tuple("indexed" in parts for parts in split))

    @property
    def hash(self) -> Hash:
        """keccak256 of the canonical signature."""
        return keccak(f"{self.name}({','.join(self.types)})".encode())


class Event(Parameters):
    """A Solidity event whose indexed parameters are all value types."""

    @cached_property
    def topic(self) -> Hash:
        return self.hash

    def matches(self, log: ChainLog) -> bool:
        return bool(log.topics) and log.topics[0] == self.topic

    def decode(self, log: ChainLog) -> dict[str, Any]:
        """Parameters by name.

        Raises:
            InvalidInput: another event, or bytes that don't fit.
        """
        pairs = list(zip(self.names, self.types, self.indexed, strict=True))
        plain = [(name, kind) for name, kind, indexed in pairs if not indexed]
        topics = [(name, kind) for name, kind, indexed in pairs if indexed]
        try:
            if not self.matches(log) or len(log.topics) != len(topics) + 1:
                raise ValueError("its topics are those of another event")
            values = dict(
                zip(
                    (name for name, _ in plain),
                    decode([kind for _, kind in plain], log.data),
                    strict=True,
                )
            )
            for (name, kind), topic in zip(topics, log.topics[1:], strict=True):
                values[name] = decode([kind], topic)[0]
        except (DecodingError, ValueError, OverflowError) as error:
            raise InvalidInput(
                f"not a {self.name} event",
                field="log",
                expected=self.signature,
                found=str(error),
            ) from None
        return values


class ContractError(Parameters):
    """A Solidity custom error."""

    @cached_property
    def selector(self) -> bytes:
        return self.hash[:4]

    def describe(self, data: bytes) -> str:
        """``Name(arg=value, ...)``; data that does not fit is shown raw."""
        try:
            values = decode(self.types, data[4:])
        except (DecodingError, ValueError, OverflowError):
            return f"{self.name}(0x{data[4:].hex()})"
        shown = (f"{name}={_shown(value)}" for name, value in zip(self.names, values, strict=True))
        return f"{self.name}({', '.join(shown)})"


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return repr(value) if isinstance(value, str) and not value.startswith("0x") else str(value)


def address_argument(address: Address) -> str:
    """20 raw bytes as the hex text that eth_abi wants."""
    return "0x" + address.hex()


def address_result(text: str) -> Address:
    """What eth_abi gives for an address, as 20 raw bytes."""
    return bytes.fromhex(text.removeprefix("0x"))


def address_results(texts: Sequence[str]) -> tuple[Address, ...]:
    """``address_result`` of each."""
    return tuple(address_result(text) for text in texts)
