"""Keeps virtual time from running away from the anchors."""

from __future__ import annotations

from dataclasses import dataclass, field

from adtally.demo.stage import Stage
from adtally.demo.waiting import wait_for
from adtally.demo.watch import Watch

_LAG_SECONDS = 7_200


@dataclass(slots=True)
class AnchorPace:
    """Receipts promise an anchor in virtual time, but signing and mining take real time: wait
    until what was sent two virtual hours ago is anchored.
    """

    stage: Stage
    watch: Watch
    _sizes: list[tuple[int, int]] = field(default_factory=list)

    def note(self, now_ms: int, tree_size: int) -> None:
        """A receipt of this tree size was given at this virtual time."""
        self._sizes.append((now_ms, tree_size))

    async def catch_up(self, now_ms: int) -> None:
        """Returns once the anchors have followed up to two hours before ``now_ms``."""
        due = now_ms - _LAG_SECONDS * 1000
        size = max((size for at_ms, size in self._sizes if at_ms <= due), default=0)
        if self.watch.anchored_size >= size:
            return

        async def look() -> bool | None:
            await self.watch.look()
            return True if self.watch.anchored_size >= size else None

        await wait_for(
            f"an anchor of {size} entries",
            look,
            alive=self.stage.require_alive,
            patience_seconds=self.stage.settings.patience_seconds,
        )
