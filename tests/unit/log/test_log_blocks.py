"""A copy's files, made of entries, against the tree that the service keeps."""

from __future__ import annotations

import random

import pytest

from adtally.log.blocks import Block, upper_tiles
from adtally.log.merkle import MerkleTree, packed_root
from adtally.log.tiles import BULK_ENTRIES, FileKind, files_of
from adtally.rfc9162 import HASH_SIZE, leaf_hashes


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700, BULK_ENTRIES])
def test_block__of_entries__has_every_file_of_such_a_log(size: int) -> None:
    entries = [b"%d" % at for at in range(size)]
    tree = MerkleTree()
    tree.append_packed(leaf_hashes(entries))
    block = Block.of(0, entries)
    assert block.root == tree.root()
    files = {**block.files, **upper_tiles(block.root if size == BULK_ENTRIES else b"")}
    assert set(files) == set(files_of(size))
    for file, content in files.items():
        if file.kind is FileKind.HASHES:
            assert content == tree.nodes(file.height, file.start, file.end)


@pytest.mark.parametrize("blocks", [0, 1, 255, 256, 257, 70_000])
def test_upper_tiles__of_block_roots__are_those_of_the_tree(blocks: int) -> None:
    roots = random.Random(blocks).randbytes(blocks * HASH_SIZE)
    files = upper_tiles(roots)
    expected = (
        {
            file
            for file in files_of(blocks * BULK_ENTRIES)
            if file.kind is FileKind.HASHES and file.level >= 2
        }
        if blocks < 300
        else set(files)
    )  # Listing billions of smaller tiles takes too long.
    assert set(files) == expected
    tree = MerkleTree()
    tree.append_packed(roots)
    for file, content in files.items():
        assert content == tree.nodes(file.height - 16, file.start, file.end)


@pytest.mark.parametrize("before", [0, 1, 2, 3, 6, 255])
@pytest.mark.parametrize("behind", [0, 1, 100, 255])
def test_packed_root__with_what_stands_behind__is_the_root_of_both(
    before: int, behind: int
) -> None:
    leaves = random.Random(before).randbytes((before * 256 + behind) * HASH_SIZE)
    tree = MerkleTree()
    tree.append_packed(leaves)
    roots = tree.nodes(8, 0, before) if before else b""
    last = packed_root(leaves[before * 256 * HASH_SIZE :]) if behind else b""
    assert packed_root(roots, last) == tree.root()
