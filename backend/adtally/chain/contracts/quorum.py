"""Signatures of an attestor set, in the form that the contracts want."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adtally.chain.abi import address_argument
from adtally.errors import InvalidInput
from adtally.types import Address

QUORUM = "(uint8,address[],bytes)"


@dataclass(frozen=True, slots=True)
class Quorum:
    """``attestors`` is the whole set, ascending; ``signatures`` are ascending by signer."""

    threshold: int
    attestors: tuple[Address, ...]
    signatures: tuple[bytes, ...]

    def to_abi(self) -> tuple[object, ...]:
        return (
            self.threshold,
            [address_argument(attestor) for attestor in self.attestors],
            b"".join(self.signatures),
        )


def make_quorum(
    threshold: int, attestors: Sequence[Address], signatures: Mapping[Address, bytes]
) -> Quorum:
    """Pick ``threshold`` signatures (no more: each costs gas) and put them in order.

    Raises:
        InvalidInput: too few signatures by members of the set.
    """
    members = tuple(sorted(attestors))
    usable = sorted(signer for signer in signatures if signer in members)
    if len(usable) < threshold:
        raise InvalidInput(
            "too few signatures for a quorum",
            field="signatures",
            expected=f"{threshold} by members of the set of {len(members)}",
            found=str(len(usable)),
            action="wait for more attestors to sign",
        )
    return Quorum(threshold, members, tuple(signatures[s] for s in usable[:threshold]))
