"""Runs the jobs: an interval tick for each, one round of a job at a time, failures that heal."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from adtally.errors import AdtallyError, InvariantBroken
from adtally.jobs.anchor import AnchorJob
from adtally.jobs.books import BooksJob
from adtally.jobs.context import JobContext
from adtally.jobs.decisions import AnchorPolicy
from adtally.jobs.facts import FactsJob
from adtally.jobs.pay import PayJob
from adtally.jobs.reconcile import ReconcileJob
from adtally.jobs.settle import SettleJob
from adtally.types import Hash

logger = logging.getLogger(__name__)

Round = Callable[[], Awaitable[object]]

EXIT_INVARIANT_BROKEN = 70
"""EX_SOFTWARE of sysexits.h."""


def exit_at_once(broken: InvariantBroken) -> None:
    """Stop the process without any further step: every state on disk is safe to stop at."""
    logger.critical("stopping the process: %s", broken)
    logging.shutdown()
    os._exit(EXIT_INVARIANT_BROKEN)


class JobRunner:
    """Ticks the rounds.

    Args:
        rounds: what to run, by name; each in the order given on its first tick.
        tick_seconds: real time between two rounds of the same job. Jobs decide by the service's
            clock, which may be virtual.
        background: rounds that only tick and come last: their first one holds no start up.
        on_invariant_broken: called when a round raises InvariantBroken; by default the process
            ends there and then.
    """

    def __init__(
        self,
        rounds: Mapping[str, Round],
        *,
        tick_seconds: float = 1.0,
        background: Mapping[str, Round] | None = None,
        on_invariant_broken: Callable[[InvariantBroken], None] = exit_at_once,
    ) -> None:
        self._first = tuple(rounds)
        self._rounds = {**rounds, **(background or {})}
        self._tick_seconds = tick_seconds
        self._on_invariant_broken = on_invariant_broken
        self._failing: dict[str, str] = {}
        self._locks = {name: asyncio.Lock() for name in self._rounds}
        self._scheduler: Any = None
        self._is_stopped = False

    @property
    def failing(self) -> Mapping[str, str]:
        """The jobs whose last round failed, with the reason; for the status page."""
        return dict(self._failing)

    async def start(self) -> None:
        """Run a first round of every job, then begin to tick on the running event loop.

        The first rounds stop at the first job that fails, so that a chain that does not answer
        holds nobody up.
        """
        for name in self._first:
            if not await self.run_round(name):
                break
        scheduler: Any = AsyncIOScheduler(  # type: ignore[no-untyped-call]
            timezone="UTC",
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for name in self._rounds:
            scheduler.add_job(
                self.run_round, "interval", seconds=self._tick_seconds, args=(name,), id=name
            )
        # A round still running at its next tick, or cancelled by stop, is no mishap; what rounds
        # raise is logged by run_round.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        scheduler.start()
        self._scheduler = scheduler

    async def stop(self) -> None:
        """Stop ticking and cancel what is running; no round runs or starts any more on return."""
        self._is_stopped = True
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None
        for lock in self._locks.values():
            async with lock:
                pass

    async def run_round(self, name: str) -> bool:
        """Run one round of a job now; True if it went through.

        What goes wrong is logged once, until it changes, and the next tick tries again.
        """
        async with self._locks[name]:
            if self._is_stopped:
                return False
            try:
                await self._rounds[name]()
            except InvariantBroken as broken:
                self._failing[name] = str(broken)
                self._on_invariant_broken(broken)
                return False
            except AdtallyError as error:
                self._note(name, str(error), logging.WARNING, None)
                return False
            except Exception as error:
                self._note(name, f"{type(error).__name__}: {error}", logging.ERROR, error)
                return False
        if self._failing.pop(name, None) is not None:
            logger.info("job %s works again", name)
        return True

    async def run_all(self) -> bool:
        """One round of every job, one after the other; True if all of them went through."""
        return all([await self.run_round(name) for name in self._rounds])

    def _note(self, name: str, reason: str, level: int, error: Exception | None) -> None:
        if self._failing.get(name) != reason:
            logger.log(level, "job %s: %s", name, reason, exc_info=error)
        self._failing[name] = reason


def standard_jobs(
    context: JobContext,
    policy: AnchorPolicy,
    escrow_domain: Hash,
    *,
    push_minimum_base_units: int = 1,
) -> dict[str, Round]:
    """Every job of the service, in the order in which one round makes the most headway."""
    books = BooksJob(context)
    return {
        "watch": context.watcher.step,
        "facts": FactsJob(context).run,
        "books": books.run,
        "settle": SettleJob(context).run,
        "anchor": AnchorJob(context, policy).run,
        "pay": PayJob(context, escrow_domain, push_minimum_base_units).run,
        "send": context.outbox.step,
        "reconcile": ReconcileJob(context, books).run,
    }
