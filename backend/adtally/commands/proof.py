"""``adtally proof``: the proof bundle of one event, checked before it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from adtally.chain.files import write_atomically
from adtally.client.log_client import LogClient
from adtally.commands.verify_bundle import Against, check_bundle
from adtally.errors import VerificationFailed
from adtally.events.record import AdEvent, event_id_text
from adtally.proofs.bundle import Bundle


@dataclass(frozen=True, slots=True)
class ProofOptions:
    """Which event, and where its proof goes."""

    event: str
    publisher: int
    output: Path
    service: str
    rpc_url: str | None
    deployment: Path
    kind: str | None = None
    occurrence: int = 0
    statement: int | None = None
    facts: bool = False
    headers: bool = False

    def parameters(self) -> dict[str, str | int]:
        """The query of ``GET /v1/events/{member}/{id}/proof``."""
        chosen: dict[str, str | int] = {"occurrence": self.occurrence}
        if self.kind is not None:
            chosen["type"] = self.kind
        if self.statement is not None:
            chosen["statement"] = self.statement
        return chosen | {"facts": str(self.facts).lower(), "headers": str(self.headers).lower()}


async def fetch_proof(options: ProofOptions, console: Console) -> bool:
    """Fetch, check, keep; returns whether nothing was left open.

    Raises:
        VerificationFailed: what came is false, or about another event; nothing is written.
        NotFound, Conflict: there is no such event, or no anchor covers it yet.
    """
    async with LogClient(options.service) as client:
        data = await client.event_proof(options.publisher, options.event, options.parameters())
    event = AdEvent.from_record(Bundle.from_bytes(data).record)
    wanted = options.event.replace("-", "").lower()
    if (event.publisher, event.id.hex()) != (options.publisher, wanted):
        raise VerificationFailed(
            "the service sent the proof of another event",
            field="event",
            expected=f"{options.event} of publisher {options.publisher}",
            found=f"{event_id_text(event.id)} of publisher {event.publisher}",
        )
    against = Against(options.deployment, options.rpc_url)
    is_complete = await check_bundle(data, against, console)
    write_atomically(options.output, data)
    console.print(f"written: {options.output} ({len(data)} bytes)", highlight=False)
    return is_complete
