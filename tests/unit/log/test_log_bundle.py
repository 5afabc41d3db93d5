"""Entry bundles: layout, round trip, malformed input."""

from __future__ import annotations

import pytest

from adtally.errors import InvalidInput
from adtally.log.bundle import (
    MAX_ENTRY_SIZE,
    count_entries,
    decode_bundle,
    encode_bundle,
    slice_bundle,
)

MIXED = [b"a" * 109, *[bytes([n]) * 112 for n in range(100)], b"b" * 109, b"c" * 112, b"\0\1"]


def test_encode_bundle__two_entries__as_tlog_tiles_writes_them() -> None:
    assert encode_bundle([b"ab", b"c" * 300]) == b"\0\2ab" + b"\x01\x2c" + b"c" * 300


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [b"x"],
        MIXED,
        [b"x" * MAX_ENTRY_SIZE],
        [bytes(size) for size in range(1, 600)],
        [b"\0" * 112] * 1000,
        [b"p" * 112, b"q" * 109] * 500,
        [b"\0\1\2"] * 17 + [b"\0\1\2\3"] * 33 + [b"\0\1\2"],
    ],
)
def test_bundle__round_trip__same_entries(entries: list[bytes]) -> None:
    bundle = encode_bundle(entries)
    assert bundle == b"".join(len(each).to_bytes(2, "big") + each for each in entries)
    assert decode_bundle(bundle) == entries
    assert count_entries(bundle) == len(entries)


def test_slice_bundle__every_range__as_if_decoded() -> None:
    entries = MIXED[:5] + MIXED[-4:]
    bundle = encode_bundle(entries)
    for start in range(len(entries) + 1):
        for end in range(start, len(entries) + 1):
            assert slice_bundle(bundle, start, end) == encode_bundle(entries[start:end])


def test_slice_bundle__past_the_end__refused() -> None:
    with pytest.raises(InvalidInput):
        slice_bundle(encode_bundle([b"a", b"b"]), 1, 3)


@pytest.mark.parametrize("entries", [[b""], [b"a", b"", b"b"], [b"x" * (MAX_ENTRY_SIZE + 1)]])
def test_encode_bundle__entry_of_wrong_length__refused(entries: list[bytes]) -> None:
    with pytest.raises(InvalidInput) as caught:
        encode_bundle(entries)
    assert caught.value.field == "bundle"


def test_decode_bundle__cut_anywhere_within_an_entry__refused() -> None:
    bundle = encode_bundle(MIXED[:3])
    ends = {0, 111, 225, 339}
    for length in range(len(bundle)):
        if length in ends:
            assert len(decode_bundle(bundle[:length])) == sorted(ends).index(length)
            continue
        with pytest.raises(InvalidInput):
            decode_bundle(bundle[:length])
        with pytest.raises(InvalidInput):
            count_entries(bundle[:length])


@pytest.mark.parametrize("bundle", [b"\0", b"\0\0", b"\0\2a", b"\0\1a\0\0", b"\xff\xffabc"])
def test_decode_bundle__malformed__refused(bundle: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_bundle(bundle)
