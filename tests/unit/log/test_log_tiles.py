"""Paths and sizes of the log's files, by the examples of C2SP tlog-tiles."""

from __future__ import annotations

import random

import pytest

from adtally.errors import InvalidInput
from adtally.log.merkle import MerkleTree, packed_root
from adtally.log.tiles import (
    BULK_ENTRIES,
    TILE_WIDTH,
    FileKind,
    bulk_file,
    bundle_file,
    encode_number,
    files_of,
    parse_path,
    tile,
)
from adtally.rfc9162 import EMPTY_ROOT, HASH_SIZE


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "000"),
        (7, "007"),
        (999, "999"),
        (1_000, "x001/000"),
        (1_234_067, "x001/x234/067"),
        (10**9, "x001/x000/x000/000"),
    ],
)
def test_number__in_groups_of_three_digits__with_x_but_the_last(number: int, text: str) -> None:
    assert encode_number(number) == text
    assert parse_path(f"tile/entries/{text}") == bundle_file(number)


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("tile/0/000", tile(0, 0)),
        ("tile/0/000.p/1", tile(0, 0, 1)),
        ("tile/2/x001/234.p/255", tile(2, 1234, 255)),
        ("tile/entries/x273/112.p/17", bundle_file(273_112, 17)),
        ("bulk/x001/000", bulk_file(1000)),
    ],
)
def test_path__of_each_kind__is_read_and_written(path: str, file: object) -> None:
    assert parse_path(path) == file
    assert parse_path(path).path == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/01/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/8/000",  # A full one of level 8 needs more entries than a log can have.
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x001/",
        "tile/0/x1/000",
        "tile/0/X001/000",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.p/1/",
        "tile/0/000/",
        "/tile/0/000",
        "tile//0/000",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/entries/000.p/256",
        "tile/entries/0/000",
        "bulk/000.p/1",
        "bulk/0",
        "bulk/x000/001",
        "tile/0/" + "x999/" * 20 + "999",
    ],
)
def test_path__not_the_only_one_of_its_file__is_refused(path: str) -> None:
    with pytest.raises(InvalidInput):
        parse_path(path)


def test_files_of__the_specifications_example__has_its_tiles() -> None:
    files = list(files_of(70_000))
    hashes = [file for file in files if file.kind is FileKind.HASHES]
    assert sum(file.level == 0 and file.is_full for file in hashes) == 273
    assert [file.path for file in hashes if file.level or not file.is_full] == [
        "tile/0/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]
    assert [file.path for file in files if file.kind is FileKind.BULK] == ["bulk/000"]
    assert sum(file.kind is FileKind.ENTRIES for file in files) == 274


def test_files_of__size_256__has_a_full_tile_and_one_of_width_one_above() -> None:
    assert [file.path for file in files_of(256)] == [
        "tile/entries/000",
        "tile/0/000",
        "tile/1/000.p/1",
    ]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_536, 70_000, 200_001])
@pytest.mark.parametrize("since", [0, 1, 256, 65_536, 65_537])
def test_files_of__since_a_size__are_all_that_this_one_lacks(size: int, since: int) -> None:
    known = {file for file in files_of(min(since, size)) if file.is_full}
    files = set(files_of(size, min(since, size)))
    assert files == set(files_of(size)) - known
    assert all(file.tree_size <= size for file in files)
    assert all(parse_path(file.path) == file for file in files)


def test_tree_size__of_a_file__is_the_least_that_has_it() -> None:
    assert tile(0, 0, 1).tree_size == 1
    assert tile(1, 0, 1).tree_size == TILE_WIDTH
    assert tile(1, 1, 17).tree_size == (256 + 17) * 256
    assert bulk_file(2).tree_size == 3 * BULK_ENTRIES


@pytest.mark.parametrize("size", [*range(20), 255, 256, 257, 403])
def test_packed_root__of_leaves__is_the_trees_root(size: int) -> None:
    leaves = random.Random(size).randbytes(size * HASH_SIZE)
    tree = MerkleTree()
    tree.append_packed(leaves)
    assert packed_root(leaves) == tree.root()
    assert size or packed_root(b"") == EMPTY_ROOT
