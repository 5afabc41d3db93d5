"""The end: the final statement, the last payments, the advertiser's refund, and the books."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from adtally.chain.contracts.token import Token
from adtally.client.fields import Fields
from adtally.demo.cast import Cast, OpenCampaign
from adtally.demo.local_time import LocalTime
from adtally.demo.narration import Narrator
from adtally.demo.outcome import (
    LineOutcome,
    MoneyOutcome,
    Outcome,
    PaymentOutcome,
    counts_from_fields,
)
from adtally.demo.stage import Stage
from adtally.demo.waiting import wait_for
from adtally.demo.watch import Watch

_Look = Callable[[], Awaitable[bool | None]]


@dataclass(slots=True)
class Closing:
    """Brings every campaign to its end and reads what came of it."""

    stage: Stage
    cast: Cast
    time: LocalTime
    watch: Watch
    narrator: Narrator

    async def close(self) -> None:
        """All windows pass, final statements settle, everybody is paid, the rest goes back."""
        last = max(
            campaign.terms.flight_end_seconds
            + campaign.terms.late_window_seconds
            + campaign.terms.correction_window_seconds
            for campaign in self.cast.campaigns
        )
        await self.time.set((last + 1) * 1000)
        await self._wait("the final statements", self._all_final)
        disputes = max(campaign.terms.dispute_window_seconds for campaign in self.cast.campaigns)
        latest = await self.stage.chain.latest()
        await self.time.set((latest.timestamp_seconds + disputes + 1) * 1000)
        await self._wait("the last payments", self._all_paid)
        for campaign in self.cast.campaigns:
            if await self.cast.advertiser.escrow.refundable(campaign.id) == 0:
                continue
            _, refund = await self.cast.advertiser.refund(campaign.id)
            self.narrator.say(
                f"[yellow]{self.cast.plan.advertiser}[/yellow] takes back the rest of "
                f"{campaign.plan.name}: {campaign.unit.named(refund.amount_base_units)}",
                self.time.now_ms,
            )
        await self._wait("the refunds in the service's books", self._all_refunded)
        size = await self._tree_size()

        async def anchored() -> bool | None:
            await self.watch.look()
            return True if self.watch.anchored_size >= size else None

        await self.time.set(self.time.now_ms + 2 * 3_600_000)
        await wait_for(
            "the last anchor",
            anchored,
            alive=self.stage.require_alive,
            patience_seconds=self.stage.settings.patience_seconds,
        )

    async def read(self, outcome: Outcome) -> None:
        """Fill in what the public documents and the chain say."""
        await self.watch.look()
        status = Fields(await self.stage.log.status(), "status")
        outcome.tree_size = status.integer("tree_size")
        outcome.root_hash = status.text("root_hash")
        outcome.anchors = self.watch.anchors
        outcome.statements = [self.watch.statements[key] for key in sorted(self.watch.statements)]
        outcome.payments = self.watch.payments
        for campaign in self.cast.campaigns:
            outcome.money.append(await self._money(campaign))
            coin = Token(self.stage.chain, campaign.token.address)
            balance = await coin.balance_of(self.stage.deployment.campaign_escrow.address)
            outcome.escrow_balances[campaign.plan.token] = balance

    async def _money(self, campaign: OpenCampaign) -> MoneyOutcome:
        view = await self.cast.advertiser.escrow.campaign(campaign.id)
        detail = Fields(
            await self.stage.log.statement(campaign.id, view.active.sequence), "statement"
        )
        return MoneyOutcome(
            campaign=campaign.id,
            unit=campaign.unit,
            funded_base_units=view.funded_base_units,
            paid_base_units=view.claimed_base_units,
            cuts_base_units=view.cuts_paid_base_units,
            refunded_base_units=view.refunded_base_units,
            lines=tuple([await self._line(campaign, line) for line in detail.inners("lines")]),
        )

    async def _line(self, campaign: OpenCampaign, line: Fields) -> LineOutcome:
        publisher = line.integer("publisher")
        order = await self.cast.advertiser.escrow.order(campaign.id, publisher)
        return LineOutcome(
            publisher,
            counts_from_fields(line.inner("counts")),
            line.integer("amount_base_units"),
            order.paid_base_units,
        )

    async def _wait(self, what: str, look: _Look) -> None:
        self.narrator.phase(f"waiting for {what}")
        await wait_for(
            what,
            look,
            alive=self.stage.require_alive,
            patience_seconds=self.stage.settings.patience_seconds,
        )

    async def _all_final(self) -> bool | None:
        await self.watch.look()
        done = all(self.watch.has_final(campaign.id) for campaign in self.cast.campaigns)
        return True if done else None

    async def _all_paid(self) -> bool | None:
        """Everything that is reserved on the chain has gone out, and the service knows it."""
        await self.watch.look()
        for campaign in self.cast.campaigns:
            view = await self.cast.advertiser.escrow.campaign(campaign.id)
            gone = view.claimed_base_units + view.cuts_paid_base_units
            if not view.active.is_final or gone != view.reserved_base_units:
                return None
            known = sum(
                payment.amount_base_units
                for payment in self._payments(campaign)
                if payment.kind in ("claim", "cut")
            )
            if known != gone:
                return None
        return True

    async def _all_refunded(self) -> bool | None:
        await self.watch.look()
        for campaign in self.cast.campaigns:
            view = await self.cast.advertiser.escrow.campaign(campaign.id)
            known = sum(
                payment.amount_base_units
                for payment in self._payments(campaign)
                if payment.kind == "refund"
            )
            if known != view.refunded_base_units:
                return None
        return True

    def _payments(self, campaign: OpenCampaign) -> list[PaymentOutcome]:
        return [each for each in self.watch.payments if each.campaign == campaign.id]

    async def _tree_size(self) -> int:
        return Fields(await self.stage.log.status(), "status").integer("tree_size")
