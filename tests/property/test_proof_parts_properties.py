"""What proof bundles are made of, against independent implementations and over random shapes."""

from __future__ import annotations

import pytest
import rlp as reference_rlp
from hypothesis import given
from hypothesis import strategies as st

from adtally.errors import AdtallyError, InvalidInput
from adtally.ethereum import rlp
from adtally.ethereum.patricia import trie_proof, trie_root, verify_value
from adtally.log.merkle import MerkleTree
from adtally.log.multiproof import join_proofs, root_of_leaves, verify_leaves
from adtally.log.proof import verify_inclusion
from adtally.proofs.bundle import MAGIC, Bundle
from adtally.proofs.squeeze import expand, squeeze
from adtally.rfc9162 import leaf_hash

items = st.recursive(
    st.binary(max_size=80), lambda inner: st.lists(inner, max_size=5), max_leaves=12
)


@given(items)
def test_rlp__any_item__as_the_reference_encodes_it(item: rlp.Item) -> None:
    encoded = rlp.encode(item)
    assert encoded == reference_rlp.encode(item)
    assert rlp.decode(encoded) == item


@given(st.binary(max_size=60))
def test_rlp__any_bytes__decode_only_if_they_are_what_is_encoded(raw: bytes) -> None:
    try:
        item = rlp.decode(raw)
    except InvalidInput:
        return
    assert rlp.encode(item) == raw


@given(
    st.dictionaries(
        st.binary(min_size=1, max_size=4), st.binary(min_size=1, max_size=40), min_size=1
    )
)
def test_trie__any_values__every_key_proves_its_value_alone(values: dict[bytes, bytes]) -> None:
    root = trie_root(values)
    for key, value in values.items():
        assert verify_value(root, key, trie_proof(values, key)) == value
    other = dict(values)
    other[next(iter(values))] += b"!"
    assert trie_root(other) != root


@given(st.data())
def test_leaves__any_of_any_tree__proven_together(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 200))
    indexes = data.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=6))
    tree = MerkleTree()
    tree.append([leaf_hash(b"%d" % at) for at in range(size)])
    leaves = {index: tree.leaf(index) for index in indexes}
    paths = {index: tree.inclusion_proof(index, size) for index in indexes}
    proof = join_proofs(paths, size)
    verify_leaves(leaves, size, proof, tree.root())
    # No more hashes than the separate proofs have, and those of a single leaf are the same ones.
    assert len(proof) <= sum(map(len, paths.values()))
    if len(indexes) == 1:
        (index,) = indexes
        assert sorted(proof) == sorted(paths[index])
        verify_inclusion(tree.leaf(index), index, size, paths[index], tree.root())
    changed = data.draw(st.sampled_from(sorted(indexes)))
    assert root_of_leaves(leaves | {changed: bytes(32)}, size, proof) != tree.root()


@given(st.data())
def test_leaves__hash_too_many_or_few__refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 100))
    index = data.draw(st.integers(0, size - 1))
    tree = MerkleTree()
    tree.append([leaf_hash(b"%d" % at) for at in range(size)])
    proof = join_proofs({index: tree.inclusion_proof(index, size)}, size)
    for wrong in (proof[:-1], (*proof, bytes(32))):
        with pytest.raises(AdtallyError):
            verify_leaves({index: tree.leaf(index)}, size, wrong, tree.root())


texts = st.lists(
    st.one_of(st.binary(max_size=20), st.integers(0, 300).map(bytes), st.just(b"repeated text")),
    max_size=30,
).map(b"".join)


@given(texts)
def test_squeeze__any_bytes__come_back_and_have_one_form(data: bytes) -> None:
    squeezed = squeeze(data)
    assert expand(squeezed) == data
    assert len(squeezed) <= len(data) + len(data) // 128 + 1


@given(st.binary(max_size=200))
def test_expand__any_bytes__only_what_squeeze_writes(raw: bytes) -> None:
    try:
        data = expand(raw)
    except InvalidInput:
        return
    assert squeeze(data) == raw


@given(st.binary(max_size=400))
def test_bundle__any_bytes__typed_errors_only(raw: bytes) -> None:
    for data in (raw, MAGIC + raw, MAGIC + squeeze(raw)):
        with pytest.raises(InvalidInput):
            Bundle.from_bytes(data)
