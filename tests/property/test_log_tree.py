"""Tree and bundle against what their definitions say, for anything Hypothesis thinks of."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.errors import InvalidInput, StorageCorrupt
from adtally.log.bundle import count_entries, decode_bundle, encode_bundle, slice_bundle
from adtally.log.checkpoint import NoteVerifier, SignedNote, parse_checkpoint
from adtally.log.merkle import MerkleTree
from adtally.log.proof import verify_consistency, verify_inclusion
from adtally.log.segment import Position, read_frame, scan_segment
from adtally.rfc9162 import EMPTY_ROOT, leaf_hash, node_hash, tree_root

entries = st.lists(st.binary(min_size=1, max_size=40), max_size=120)


def naive_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


@settings(max_examples=80, deadline=None)
@given(chunks=st.lists(entries, max_size=6), data=st.data())
def test_merkle__grown_in_any_chunks__equals_the_naive_tree(
    chunks: list[list[bytes]], data: st.DataObject
) -> None:
    tree, leaves = MerkleTree(), list[bytes]()
    for chunk in chunks:
        hashes = [leaf_hash(entry) for entry in chunk]
        tree.append(hashes)
        leaves += hashes
        assert (tree.size, tree.root()) == (len(leaves), naive_root(leaves))
    if leaves:
        second = data.draw(st.integers(1, len(leaves)))
        first = data.draw(st.integers(1, second))
        index = data.draw(st.integers(0, second - 1))
        old, new = naive_root(leaves[:first]), naive_root(leaves[:second])
        verify_consistency(first, second, old, new, tree.consistency_proof(first, second))
        verify_inclusion(leaves[index], index, second, tree.inclusion_proof(index, second), new)


@given(entries=entries)
def test_tree_root__any_entries__equals_the_naive_tree(entries: list[bytes]) -> None:
    assert tree_root(entries) == naive_root([leaf_hash(entry) for entry in entries])


@given(entries=entries, cut=st.tuples(st.integers(0, 120), st.integers(0, 120)))
def test_bundle__any_entries__round_trip_and_slice(
    entries: list[bytes], cut: tuple[int, int]
) -> None:
    bundle = encode_bundle(entries)
    assert decode_bundle(bundle) == entries
    assert count_entries(bundle) == len(entries)
    start, end = sorted(min(each, len(entries)) for each in cut)
    assert slice_bundle(bundle, start, end) == encode_bundle(entries[start:end])


@given(st.binary(max_size=300))
def test_bundle__any_bytes__decode_to_what_encodes_to_them_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        assert encode_bundle(decode_bundle(data)) == data


@given(st.binary(max_size=300))
def test_note__any_bytes__parse_canonically_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        assert SignedNote.from_bytes(data).to_bytes() == data


@given(st.text(max_size=120))
def test_checkpoint__any_text__is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        parse_checkpoint(text)
    with contextlib.suppress(InvalidInput):
        assert str(NoteVerifier.parse(text)) == text


@given(st.binary(max_size=300), st.integers(0, 310))
def test_segment__any_bytes__hold_no_frame_and_raise_nothing_untyped(data: bytes, at: int) -> None:
    assert read_frame(data, at) is None
    with contextlib.suppress(StorageCorrupt):
        assert scan_segment(data, Position(), "any").frames == ()
