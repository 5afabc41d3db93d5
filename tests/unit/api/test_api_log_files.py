"""Tiles, bundles and bulk files over HTTP: right, complete, cacheable, and not a byte too early."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adtally.api.caching import parse_range
from adtally.log.bundle import decode_bundle
from adtally.log.checkpoint import open_checkpoint
from adtally.log.merkle import packed_root
from adtally.log.tiles import BULK_ENTRIES, FileKind, bundle_file, files_of, parse_path, tile
from adtally.rfc9162 import leaf_hashes
from support.grown_log import GrownLog, grown_log

SIZE = BULK_ENTRIES + 2 * 256 + 77


@pytest_asyncio.fixture
async def log(tmp_path: Path) -> AsyncIterator[GrownLog]:
    """A log of a few tiles."""
    async with grown_log(tmp_path, 700) as log:
        yield log


@pytest.mark.asyncio
async def test_files__all_of_a_log__hash_to_its_checkpoint(tmp_path: Path) -> None:
    async with grown_log(tmp_path, SIZE) as log:
        contents = {}
        for file in files_of(SIZE):
            response = await log.get(file.path)
            assert response.status_code == 200, file.path
            assert response.headers["content-type"] == "application/octet-stream"
            assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
            contents[file.path] = response.content
        note = (await log.get("checkpoint")).content
        verifier = log.service.note_signer.verifier
    checkpoint = open_checkpoint(note, [verifier], origin=verifier.name)
    leaves = b""
    for number in range(SIZE // 256 + 1):
        width = min(256, SIZE - 256 * number)
        entries = decode_bundle(contents[bundle_file(number, width).path])
        assert contents[tile(0, number, width).path] == leaf_hashes(entries)
        leaves += leaf_hashes(entries)
    assert (checkpoint.tree_size, checkpoint.root_hash) == (SIZE, packed_root(leaves))
    for file in files_of(SIZE):
        if file.kind is FileKind.HASHES and file.level:
            below = [contents[tile(file.level - 1, at).path] for at in range(file.start, file.end)]
            assert contents[file.path] == b"".join(map(packed_root, below))
    assert contents["bulk/000"] == b"".join(contents[bundle_file(at).path] for at in range(256))


@pytest.mark.asyncio
async def test_files__beyond_the_checkpoint__are_not_found_and_not_remembered(
    log: GrownLog,
) -> None:
    for path in (
        "tile/0/002.p/189",
        "tile/0/002",
        "tile/entries/003",
        "tile/1/000.p/3",
        "bulk/000",
    ):
        response = await log.get(path)
        assert response.status_code == 404, path
        assert response.headers["cache-control"] == "no-store"
        assert response.json()["found"] == "700 entries"
    assert (await log.get("tile/0/002.p/188")).status_code == 200
    await log.grow(2)
    assert (await log.get("tile/0/002.p/190")).status_code == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path",
    ["tile/0/000.p/256", "tile/0/000.p/0", "tile/0/x000/000", "tile/0/0", "tile/00/000", "tile/",
     "tile/0/000/", "bulk/000.p/3", "tile/entries/1", "tile/0/000.p/\u0663"],
)  # fmt: skip
async def test_files__not_under_their_only_path__are_not_found(log: GrownLog, path: str) -> None:
    response = await log.get(path)
    assert response.status_code == 404
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.asyncio
async def test_partial_files__outgrown__are_the_beginning_of_the_full_ones(log: GrownLog) -> None:
    early = {path: (await log.get(path)).content for path in ("tile/0/002.p/188", "tile/1/000.p/2")}
    await log.grow_to(1024 + 1)
    for path, content in early.items():
        again = await log.get(path)
        assert again.content == content
    assert (await log.get("tile/0/002")).content.startswith(early["tile/0/002.p/188"])
    bundle = (await log.get("tile/entries/002")).content
    assert bundle.startswith((await log.get("tile/entries/002.p/188")).content)


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000", "tile/entries/000", "tile/1/000.p/2"])
async def test_conditional_requests__same_tag__get_no_body(log: GrownLog, path: str) -> None:
    first = await log.get(path)
    tag = first.headers["etag"]
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await log.get(path, **{"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == first.headers["cache-control"]
    assert (await log.get(path, **{"if-none-match": '"other"'})).content == first.content
    head = await log.client.head(f"/v1/log/{path}")
    assert head.status_code == 200
    assert head.headers["content-length"] == str(len(first.content))
    assert head.headers["etag"] == tag


@pytest.mark.asyncio
async def test_checkpoint__of_a_grown_log__has_another_tag_and_is_asked_for_anew(
    log: GrownLog,
) -> None:
    first = await log.get("checkpoint")
    assert first.headers["cache-control"] == "public, max-age=1, must-revalidate"
    assert first.headers["content-type"] == "text/plain; charset=utf-8"
    await log.grow(2)
    again = await log.get("checkpoint", **{"if-none-match": first.headers["etag"]})
    assert again.status_code == 200
    assert again.content != first.content


@pytest.mark.asyncio
async def test_range__of_a_file__is_that_part_of_it(log: GrownLog) -> None:
    whole = await log.get("tile/0/000")
    part = await log.get("tile/0/000", range="bytes=32-63")
    assert (part.status_code, part.content) == (206, whole.content[32:64])
    assert part.headers["content-range"] == "bytes 32-63/8192"
    tail = await log.get("tile/0/000", range="bytes=-10", **{"if-range": whole.headers["etag"]})
    assert tail.content == whole.content[-10:]
    changed = await log.get("tile/0/000", range="bytes=-10", **{"if-range": '"other"'})
    assert (changed.status_code, changed.content) == (200, whole.content)
    beyond = await log.get("tile/0/000", range="bytes=8192-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */8192")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=5-", (5, 10)),
        ("bytes=5-100", (5, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=10-20", (10, 10)),
        ("bytes=-0", (10, 10)),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=a-b", None),
    ],
)
def test_parse_range__as_rfc_9110_reads_it(text: str, part: tuple[int, int] | None) -> None:
    assert parse_range(text, 10) == part


@pytest.mark.asyncio
async def test_files__a_damaged_tree__are_refused(log: GrownLog) -> None:
    sequencer = log.service.sequencer
    sequencer.tree.sync()  # type: ignore[attr-defined]
    path = next((log.service.settings.tree_dir).glob("level-00-*"))
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    response = await log.get("tile/0/000")
    assert response.status_code == 500
    assert response.headers["cache-control"] == "no-store"
    assert parse_path("tile/0/000").tree_size == 256
