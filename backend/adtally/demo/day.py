"""The day itself: steps of virtual time, in each of which traffic arrives and money moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adtally.client.fields import Fields
from adtally.demo.cast import Cast
from adtally.demo.local_time import LocalTime
from adtally.demo.narration import Narrator
from adtally.demo.pace import AnchorPace
from adtally.demo.plan import DemoPlan
from adtally.demo.processes import ChildProcess
from adtally.demo.sender import TrafficSender
from adtally.demo.stage import Stage
from adtally.demo.waiting import wait_for
from adtally.demo.watch import Watch
from adtally.simulation.traffic import Step, simulate

_PAUSED_ATTESTOR = "C"


@dataclass(slots=True)
class Day:
    """Plays the flight of every campaign at once.

    Nothing is sent before the facts that its verdict depends on are in the log, and the clock
    does not run away from the anchors; so a run comes to the same totals at any speed, whatever
    breaks down in between.
    """

    plan: DemoPlan
    stage: Stage
    cast: Cast
    time: LocalTime
    sender: TrafficSender
    watch: Watch
    narrator: Narrator
    pace: AnchorPace
    _paused: ChildProcess | None = None

    async def play(self) -> None:
        """From the first step of the flight to the one after it."""
        for steps in self._steps():
            number = steps[0].number
            await self._deposit(number)
            await self._pause_attestor(number)
            await self.time.set(steps[0].end_ms)
            if number % self.plan.forged_every_steps == 0:
                await self._forge(steps)
            await self.sender.send_step(steps)
            answers = self.sender.tally.answers
            if answers:
                self.pace.note(self.time.now_ms, answers[-1].receipt.tree_size)
            await self.watch.look()
            await self.pace.catch_up(self.time.now_ms)
            self.narrator.step(number, self.time.now_ms, self._status())

    async def await_facts(self, step: int) -> None:
        """Until the log knows all orders, and the deposits up to a step."""
        for campaign in self.cast.campaigns:
            expected = (self.cast.funded_base_units(campaign, step), len(campaign.plan.orders))

            async def look(
                number: int = campaign.id, expected: tuple[int, int] = expected
            ) -> bool | None:
                known = Fields(await self.stage.log.campaign(number), "campaign")
                found = (known.integer("funded_base_units"), len(known.items("orders")))
                return True if found == expected else None

            await wait_for(
                f"orders and funding of campaign {campaign.id} in the log",
                look,
                alive=self.stage.require_alive,
                patience_seconds=self.stage.settings.patience_seconds,
            )

    def _steps(self) -> Iterator[tuple[Step, ...]]:
        scenarios = [self.cast.scenario(campaign) for campaign in self.cast.campaigns]
        return zip(*(simulate(scenario) for scenario in scenarios), strict=True)

    async def _deposit(self, step: int) -> None:
        if step == 0:
            return
        paid = await self.cast.deposit(step)
        for campaign, amount in paid:
            self.narrator.say(
                f"[yellow]{self.plan.advertiser}[/yellow] tops up {campaign.plan.name} by "
                f"{campaign.unit.named(amount, 2)}",
                self.time.now_ms,
            )
        if paid:
            await self.await_facts(step)

    async def _pause_attestor(self, step: int) -> None:
        if self.plan.attestor_pause is None:
            return
        first, last = self.plan.attestor_pause
        attestor = self.stage.attestors.get(_PAUSED_ATTESTOR)
        if step == first and attestor is not None:
            await self.stage.attestors.pop(_PAUSED_ATTESTOR).stop()
            self._paused = attestor
            self.narrator.say("attestor C goes down; two of three go on", self.time.now_ms)
        elif step == last and self._paused is not None:
            self._paused.start()
            self.stage.attestors[_PAUSED_ATTESTOR] = self._paused
            self.narrator.say("attestor C is back and catches up", self.time.now_ms)

    async def _forge(self, steps: tuple[Step, ...]) -> None:
        orders = self.plan.campaigns[0].orders
        victim, competitor = (self.cast.ids[order.publisher] for order in orders[:2])
        await self.sender.send_forged(victim, competitor, steps)

    def _status(self) -> str:
        tally = self.sender.tally
        settled = len(self.watch.statements)
        return (
            f"{tally.events_sent:,} events, {len(self.watch.anchors)} anchors, "
            f"{settled} statements, {len(self.watch.payments)} payments"
        )
