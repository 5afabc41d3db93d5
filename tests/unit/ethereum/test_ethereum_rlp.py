"""RLP: the Yellow Paper's examples, and every form that is not the shortest."""

from __future__ import annotations

import pytest

from adtally.errors import InvalidInput
from adtally.ethereum import rlp

EXAMPLES = [
    (b"dog", "83646f67"),
    ([b"cat", b"dog"], "c88363617483646f67"),
    (b"", "80"),
    ([], "c0"),
    (b"\x0f", "0f"),
    (b"\x04\x00", "820400"),
    ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
    (
        b"Lorem ipsum dolor sit amet, consectetur adipisicing elit",
        "b838" + b"Lorem ipsum dolor sit amet, consectetur adipisicing elit".hex(),
    ),
]


@pytest.mark.parametrize(("item", "encoded"), EXAMPLES)
def test_rlp__example_of_the_specification__both_ways(item: rlp.Item, encoded: str) -> None:
    assert rlp.encode(item).hex() == encoded
    assert rlp.decode(bytes.fromhex(encoded)) == item


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "8100",  # a byte that stands for itself
        "b80161",  # a long form of a short string
        "b90038" + "61" * 56,  # a length with a leading zero
        "83646f",  # cut
        "83646f6700",  # more behind
        "c88363617483646f",  # a list that is cut
        "c283646f67",  # an item longer than its list
        "f800",  # a long form of an empty list
        "bfffffffffffffffff",  # a length beyond all
    ],
)
def test_rlp__other_form__invalid(encoded: str) -> None:
    with pytest.raises(InvalidInput):
        rlp.decode(bytes.fromhex(encoded))


def test_rlp__lists_too_deep__invalid() -> None:
    nested = b"\xc0"
    for _ in range(20):
        nested = bytes((0xC0 + len(nested),)) + nested
    with pytest.raises(InvalidInput, match="deep"):
        rlp.decode(nested)


@pytest.mark.parametrize(("raw", "bits"), [(b"\0", 64), (b"\0\x01", 64), (b"\x01" + bytes(8), 64)])
def test_as_uint__leading_zero_or_too_large__invalid(raw: bytes, bits: int) -> None:
    with pytest.raises(InvalidInput):
        rlp.as_uint(raw, bits)


def test_as_uint__largest__taken() -> None:
    assert rlp.as_uint(b"\xff" * 8) == 2**64 - 1
    assert rlp.as_uint(b"") == 0
