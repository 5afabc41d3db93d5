"""The public log as files that never change: tiles, entry bundles, bulk files (C2SP tlog-tiles)."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from adtally.api.caching import FOREVER, answer, is_known, not_modified
from adtally.api.service import ServiceDep
from adtally.errors import InvalidInput, NotFound
from adtally.intake.sequencer import Sequencer
from adtally.log.merkle import MerkleTree, packed_root
from adtally.log.tiles import TILE_HEIGHT, FileKind, LogFile, parse_path

router = APIRouter(prefix="/log", tags=["log"])

BINARY = "application/octet-stream"


@router.head("/tile/{path:path}", include_in_schema=False)
@router.get("/tile/{path:path}", response_class=Response, summary="A tile or an entry bundle")
async def get_tile(path: str, request: Request, service: ServiceDep) -> Response:
    """As in C2SP tlog-tiles: `<L>/<N>` is a tile, `entries/<N>` a bundle; `.p/<W>` if partial."""
    return await _file(f"tile/{path}", request, service.sequencer)


@router.head("/bulk/{path:path}", include_in_schema=False)
@router.get("/bulk/{path:path}", response_class=Response, summary="65,536 entries at once")
async def get_bulk(path: str, request: Request, service: ServiceDep) -> Response:
    """256 entry bundles joined, from entry `N * 65,536`; parts by `Range`."""
    return await _file(f"bulk/{path}", request, service.sequencer)


async def _file(path: str, request: Request, sequencer: Sequencer) -> Response:
    file = _existing(path, sequencer.checkpoint().tree_size)
    tree = sequencer.tree
    # In a thread: reading must not hold up the event loop.
    etag = await asyncio.to_thread(_etag, tree, file)
    if is_known(request, etag):
        return not_modified(etag, FOREVER)
    if file.kind is FileKind.HASHES:
        read = asyncio.to_thread(tree.nodes, file.height, file.start, file.end)
    else:
        read = asyncio.to_thread(sequencer.store.bundle, file.start, file.end)
    return answer(request, await read, media_type=BINARY, etag=etag, cache_control=FOREVER)


def _existing(path: str, tree_size: int) -> LogFile:
    """The file, if a checkpoint that anybody can have covers it; else NotFound."""
    try:
        file = parse_path(path)
    except InvalidInput as error:
        raise NotFound(
            error.message, field=error.field, expected=error.expected, found=error.found
        ) from None
    if file.tree_size > tree_size:
        raise NotFound(
            "the log has no such file yet",
            field="path",
            expected=f"a log of {file.tree_size} entries",
            found=f"{tree_size} entries",
            action="ask again when a checkpoint covers it",
        )
    return file


def _etag(tree: MerkleTree, file: LogFile) -> str:
    """The root hash of the entries that the file is about: known without reading them."""
    if file.kind is FileKind.BULK:
        height = 2 * TILE_HEIGHT
        root = tree.nodes(height, file.number, file.number + 1)
    else:
        root = packed_root(tree.nodes(file.height, file.start, file.end))
    return f'"{root.hex()}"'
