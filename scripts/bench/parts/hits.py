"""Single hits by the service's own application: pixels at full rate, then at half of it."""

from __future__ import annotations

from ..hits import CONNECTIONS, pixel_requests, send_hits
from ..sheet import Sheet
from ..stage import Stage

HITS = 100_000


def measure(stage: Stage) -> Sheet:
    """Pixels a second that were on disk, judged, hashed and priced before their answer."""
    sheet = Sheet()
    with stage.server("scripts.bench.server", "kernel") as port:
        send_hits(port, pixel_requests(5_000))
        outcome = send_hits(port, pixel_requests(HITS))
        how = f"{HITS:,} pixels, {CONNECTIONS} connections, a token and a person each"
        sheet.put("ingest.hits_per_second", outcome.events_per_second, how)
        rate = outcome.events_per_second / 2
        outcome = send_hits(port, pixel_requests(HITS), rate=rate)
        how = f"{rate:,.0f} hits a second over {CONNECTIONS} connections"
        sheet.put("ingest.hit_p50_ms", outcome.percentile_ms(0.5), how, "ms")
        sheet.put("ingest.hit_p99_ms", outcome.percentile_ms(0.99), how, "ms")
    return sheet
