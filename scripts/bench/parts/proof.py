"""Proofs: how fast an inclusion proof is served, and how large a whole bundle becomes."""

from __future__ import annotations

import random
from collections.abc import Iterator

from scripts.chainless.evidence import Shape, make_bundle

from adtally.proofs.findings import Trust
from adtally.proofs.verify import blocks_of, verify_bundle

from ..closed_loop import closed_loop
from ..sheet import Sheet
from ..stage import Stage

LEAVES = 10_000_000
REQUESTS = 4_000
_CONNECTIONS = 4
LARGE = Shape(
    tree_size=10**9,
    first_index=712_345_678,
    batch=1_000,
    position=412,
    lines=1_000,
    paid_together=1,
)


def measure(stage: Stage) -> Sheet:
    """Latency over HTTP at ten million leaves; bytes of a bundle at a thousand million."""
    sheet = Sheet()
    _bundle(sheet)
    with stage.server("scripts.bench.proof_server", str(LEAVES)) as port:
        closed_loop(port, [_requests(200, LEAVES, 0)])
        loops = [_requests(REQUESTS // _CONNECTIONS, LEAVES, seed) for seed in range(_CONNECTIONS)]
        rate = closed_loop(port, loops)
    ordered = sorted(rate.latencies_ms)
    how = (
        f"GET /v1/log/proofs/inclusion at {LEAVES:,} leaves in the service's tree files, "
        f"{REQUESTS:,} random leaves, half at the newest size and half at older ones, "
        f"{_CONNECTIONS} connections at once, {rate.per_second:,.0f} proofs a second"
    )
    sheet.put("proof.inclusion_p50_ms", ordered[len(ordered) // 2], how, "ms")
    sheet.put("proof.inclusion_p99_ms", ordered[len(ordered) * 99 // 100], how, "ms")
    return sheet


def _bundle(sheet: Sheet) -> None:
    bundle, _ = make_bundle(LARGE)
    blocks = [header.hash for header in blocks_of(bundle)]
    verify_bundle(bundle, Trust(blocks=blocks))
    how = (
        "record to payment with proofs of four contract events: 10^9 leaves, a batch of 1,000, "
        "1,000 lines, two attestors, the line paid alone, no other transaction in the blocks"
    )
    sheet.put("proof.bundle_bytes_1g", len(bundle.to_bytes()), how, "bytes")


def _requests(number: int, leaves: int, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for at in range(number):
        index = chance.randrange(leaves)
        size = leaves if at % 2 else chance.randint(index + 1, leaves)
        yield (
            f"GET /v1/log/proofs/inclusion?index={index}&tree_size={size} HTTP/1.1\r\n"
            "host: bench\r\n\r\n"
        ).encode()
