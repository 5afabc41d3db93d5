"""The public log: checkpoint, entries, proofs."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, Response

from adtally.api.caching import BRIEFLY, answer
from adtally.api.schemas import ConsistencyOut, InclusionOut, hex_text
from adtally.api.service import Service, ServiceDep
from adtally.errors import InvalidInput
from adtally.log.bundle import encode_bundle
from adtally.log.checkpoint import sign_checkpoint
from adtally.log.store import LogStore
from adtally.types import UINT64_MAX

router = APIRouter(prefix="/log", tags=["log"])

MAX_ENTRIES = 65_536
PAGE_BYTES = 8 << 20
_READ_ENTRIES = 4_096

Index = Annotated[int, Query(ge=0, le=UINT64_MAX)]


@router.head("/checkpoint", include_in_schema=False)
@router.get("/checkpoint", response_class=PlainTextResponse, summary="The newest signed checkpoint")
async def get_checkpoint(request: Request, service: ServiceDep) -> Response:
    """A C2SP tlog-checkpoint: a signed note of origin, tree size and root hash."""
    note = sign_checkpoint(service.note_signer, service.sequencer.checkpoint())
    return note_answer(request, note)


def note_answer(request: Request, note: bytes) -> Response:
    """A note as C2SP wants it served: for a few seconds at most."""
    return answer(
        request,
        note,
        media_type="text/plain; charset=utf-8",
        etag=f'"{hashlib.sha256(note).hexdigest()}"',
        cache_control=BRIEFLY,
    )


@router.get("/entries", response_class=Response, summary="Log entries as a bundle")
async def get_entries(service: ServiceDep, start: Index, end: Index | None = None) -> Response:
    """Entries ``start`` to ``end`` (exclusive): each with its length as 16 bits in front.

    At most 65,536 at once, fewer if they are long; the header ``X-Next-Index`` says where to go on.
    """
    size = service.sequencer.tree.size
    stop = min(size if end is None else end, size, start + MAX_ENTRIES)
    _check_range("start", start, size, inclusive=True)
    # Read in a thread: this much must not hold up the event loop.
    entries = await asyncio.to_thread(_page, service.sequencer.store, start, max(start, stop))
    return Response(
        encode_bundle(entries),
        media_type="application/octet-stream",
        headers={"X-Next-Index": str(start + len(entries))},
    )


def _page(store: LogStore, start: int, stop: int) -> list[bytes]:
    """The entries, or as many of them as come to about PAGE_BYTES."""
    entries: list[bytes] = []
    size = 0
    while start + len(entries) < stop and size < PAGE_BYTES:
        at = start + len(entries)
        piece = store.entries(at, min(stop, at + _READ_ENTRIES))
        size += sum(map(len, piece))
        entries += piece
    return entries


@router.get("/proofs/inclusion", summary="RFC 9162 inclusion proof")
async def get_inclusion(
    service: ServiceDep, index: Index, tree_size: Index | None = None
) -> InclusionOut:
    """That the entry at ``index`` is in the log of ``tree_size`` entries (default: the newest)."""
    size = _tree_size(service, tree_size)
    _check_range("index", index, size)
    leaf, root, path = service.sequencer.tree.proven_leaf(index, size)
    return InclusionOut(
        index=index,
        leaf_hash=hex_text(leaf),
        tree_size=size,
        root_hash=hex_text(root),
        proof=[hex_text(node) for node in path],
    )


@router.get("/proofs/consistency", summary="RFC 9162 consistency proof")
async def get_consistency(
    service: ServiceDep, first: Index, second: Index | None = None
) -> ConsistencyOut:
    """That the log of ``second`` entries (default: the newest) extends that of ``first``."""
    size = _tree_size(service, second)
    _check_range("first", first, size, inclusive=True)
    tree = service.sequencer.tree
    return ConsistencyOut(
        first=first,
        first_root_hash=hex_text(tree.root(first)),
        second=size,
        second_root_hash=hex_text(tree.root(size)),
        proof=[hex_text(node) for node in tree.consistency_proof(first, size)] if first else [],
    )


def _tree_size(service: Service, tree_size: int | None) -> int:
    newest = service.sequencer.tree.size
    if tree_size is None:
        return newest
    _check_range("tree_size", tree_size, newest, inclusive=True)
    return tree_size


def _check_range(field: str, value: int, limit: int, *, inclusive: bool = False) -> None:
    if value > limit or (value == limit and not inclusive):
        raise InvalidInput(
            f"{field} is beyond the log",
            field=field,
            expected=f"{'at most' if inclusive else 'less than'} {limit}",
            found=str(value),
        )
