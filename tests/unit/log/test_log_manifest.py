"""The archive's manifest: one spelling, and everything else is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adtally.errors import VerificationFailed
from adtally.log.compact_range import CompactRange
from adtally.log.manifest import Manifest, is_finished, manifest_name
from adtally.log.merkle import MerkleTree
from adtally.log.segment import segment_index, segment_name
from adtally.rfc9162 import leaf_hash
from adtally.types import UINT64_MAX

NUMBERS = st.integers(0, UINT64_MAX - 1)
HASHES = st.binary(min_size=32, max_size=32)
MANIFEST = Manifest("a log", 5, 9, 2, 3, 2048, b"\x01" * 32, b"\x02" * 32)


@given(
    st.builds(
        Manifest, st.text(max_size=100), NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, HASHES, HASHES
    )
)
def test_manifest__encoded__parses_to_itself(manifest: Manifest) -> None:
    manifest = replace(
        manifest,
        end_index=max(manifest.end_index, manifest.first_index + 1),
        end_frame=max(manifest.end_frame, manifest.first_frame + 1),
    )
    data = manifest.encode()
    assert Manifest.parse(data, manifest.name) == manifest
    assert is_finished(data)
    assert not any(is_finished(data[:end]) for end in range(len(data)))


def altered(**changes: object) -> bytes:
    values = json.loads(MANIFEST.encode()) | changes
    return (json.dumps(values, indent=2) + "\n").encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}\n",
        b"[1]\n",
        b"null\n",
        b"\xff\xfe}\n",
        b"[" * 100_000 + b"}\n",
        b"[" * 4_000 + b"}\n",
        altered(origin="a" * 4096),
        MANIFEST.encode() + b"\n",
        MANIFEST.encode().replace(b"  ", b" "),
        altered(version=2),
        altered(extra=1),
        altered(origin=7),
        altered(first_index=-5),
        altered(first_index=True),
        altered(first_index=5.0),
        altered(first_index="5"),
        altered(first_index=6),
        altered(first_index=UINT64_MAX + 1),
        altered(end_index=5),
        altered(end_frame=2),
        altered(sha256="0x" + "01" * 31),
        altered(sha256="01" * 32),
        altered(root_hash="0x" + "GG" * 32),
        altered(root_hash="0x" + "AB" * 32),
        altered(root_hash=None),
    ],
)
def test_manifest__anything_else__refused(data: bytes) -> None:
    assert Manifest.parse(MANIFEST.encode(), MANIFEST.name) == MANIFEST
    with pytest.raises(VerificationFailed):
        Manifest.parse(data, MANIFEST.name)


@given(st.binary())
def test_manifest__any_bytes__refused_with_a_typed_error(data: bytes) -> None:
    with pytest.raises(VerificationFailed):
        Manifest.parse(data, MANIFEST.name)


def test_names__of_segment_and_manifest__belong_together() -> None:
    assert segment_name(7) == "segment-0000000000000007.log"
    assert segment_index(segment_name(7)) == 7
    assert manifest_name(segment_name(7)) == "segment-0000000000000007.json"
    for other in ("segment-7.log", manifest_name(segment_name(7)), "lock", segment_name(7) + "x"):
        assert segment_index(other) == -1


def test_compact_range__every_size__root_of_the_merkle_tree() -> None:
    entries = [number.to_bytes(2, "big") for number in range(1, 70)]
    tree = MerkleTree()
    tree.append([leaf_hash(entry) for entry in entries])
    one_by_one, at_once = CompactRange(), CompactRange()
    assert one_by_one.root() == tree.root(0)
    for size, entry in enumerate(entries, 1):
        one_by_one.append([entry])
        assert one_by_one.root() == tree.root(size)
    at_once.append(entries)
    assert at_once.root() == tree.root()
