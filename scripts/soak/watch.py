"""Looks at service and attestors while the traffic flows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from adtally.client.fields import Fields

from .probe import Probe, bytes_under, look
from .site import Site
from .windows import Tally

_PROBE_SECONDS = 1.0


@dataclass(slots=True)
class Watcher:
    """Probes the service once a second; attestors and documents at the end of each window.

    Attributes:
        campaigns: whose statements count.
        clock: seconds of the run.
        tallies: by the end of the window.
    """

    site: Site
    campaigns: Sequence[int]
    clock: Callable[[], float]
    probes: list[Probe] = field(default_factory=list)
    attestors: list[list[Probe]] = field(default_factory=list)
    tallies: dict[float, Tally] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None

    def start(self, ends: Sequence[float], told: Callable[[float, Tally], None]) -> None:
        """Watch in the background until the last of ``ends``, telling each."""
        self._task = asyncio.create_task(self._run(ends, told))

    def check(self) -> None:
        """Raises what watching failed with: AdtallyError if a process has ended."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def finish(self) -> None:
        """Until the last window has ended; raises as ``check``."""
        if self._task is not None:
            await self._task

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self, ends: Sequence[float], told: Callable[[float, Tally], None]) -> None:
        probing = asyncio.create_task(self._probe())
        try:
            for end in ends:
                await asyncio.sleep(max(end - self.clock(), 0))
                self.site.require_alive()
                self.attestors.append(
                    [look(each.pid, self.clock()) for each in self.site.attestors if each.pid]
                )
                self.tallies[end] = tally = await self.tally()
                told(end, tally)
                if probing.done():
                    probing.result()
        finally:
            probing.cancel()

    async def _probe(self) -> None:
        pid = self.site.service.pid
        assert pid is not None, "the service is not started"
        while True:
            self.probes.append(look(pid, self.clock()))
            await asyncio.sleep(_PROBE_SECONDS)

    async def tally(self) -> Tally:
        """What stands in the service's documents now."""
        log = self.site.log
        status = Fields(await log.status(), "status")
        anchors = Fields({"rows": await log.anchors()}, "anchors").inners("rows")
        payments = Fields({"rows": await log.payments()}, "payments").inners("rows")
        settled = 0
        for campaign in self.campaigns:
            rows = Fields({"rows": await log.statements(campaign)}, "statements").inners("rows")
            settled += sum(row.text("state") == "settled" for row in rows)
        return Tally(
            tree_size=status.integer("tree_size"),
            anchored_size=status.integer("anchored_tree_size"),
            anchors=len(anchors),
            statements=settled,
            payments=len(payments),
            disk_bytes=await asyncio.to_thread(bytes_under, self.site.data_dir),
        )
