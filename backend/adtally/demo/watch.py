"""Watches a service's public documents and tells what is new since the last look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from adtally.client.fields import Fields
from adtally.client.log_client import LogClient
from adtally.demo.money import TokenUnit
from adtally.demo.outcome import (
    AnchorOutcome,
    PaymentOutcome,
    StatementOutcome,
    counts_from_fields,
)


@dataclass(slots=True)
class Watch:
    """What has been seen so far.

    Attributes:
        log: to the service.
        campaigns: campaign id -> its name and token.
        names: member id -> name.
        say: told one line for everything new.
    """

    log: LogClient
    campaigns: dict[int, tuple[str, TokenUnit]]
    names: dict[int, str]
    say: Callable[[str], None]
    anchors: list[AnchorOutcome] = field(default_factory=list)
    statements: dict[tuple[int, int], StatementOutcome] = field(default_factory=dict)
    payments: list[PaymentOutcome] = field(default_factory=list)
    anchored_size: int = 0

    async def look(self) -> None:
        """Ask for everything; new statements and payments are told."""
        await self._look_for_anchors()
        for campaign in self.campaigns:
            await self._look_for_statements(campaign)
        await self._look_for_payments()

    def has_final(self, campaign: int) -> bool:
        """Whether the campaign's final statement is settled."""
        return any(
            statement.is_final and statement.campaign == campaign
            for statement in self.statements.values()
        )

    async def _look_for_anchors(self) -> None:
        rows = _rows(await self.log.anchors(), "anchors")
        self.anchors = [AnchorOutcome.from_fields(row) for row in rows]
        self.anchored_size = max((anchor.tree_size for anchor in self.anchors), default=0)

    async def _look_for_statements(self, campaign: int) -> None:
        for row in _rows(await self.log.statements(campaign), "statements"):
            key = (campaign, row.integer("sequence"))
            if key in self.statements or row.text("state") != "settled":
                continue
            detail = Fields(await self.log.statement(*key), "statement")
            statement = _statement(detail)
            self.statements[key] = statement
            name, unit = self.campaigns[campaign]
            final = "[bold]final [/bold]" if statement.is_final else ""
            self.say(
                f"[cyan]{name}[/cyan]: {final}statement {statement.sequence} settled, "
                f"{unit.named(statement.lines_total_base_units, 2)} owed so far, signed by "
                f"{len(statement.signers)} attestors ({statement.reason})"
            )

    async def _look_for_payments(self) -> None:
        rows = _rows(await self.log.payments(), "payments")
        seen = len(self.payments)
        self.payments = [PaymentOutcome.from_fields(row) for row in rows]
        new = [payment for payment in self.payments[seen:] if payment.campaign in self.campaigns]
        for payment in new:
            name, unit = self.campaigns[payment.campaign]
            payee = self.names.get(payment.member, f"member {payment.member}")
            self.say(
                f"[green]{unit.named(payment.amount_base_units, 2)}[/green] to {payee} "
                f"({payment.kind}, {name})"
            )


def _rows(document: object, name: str) -> list[Fields]:
    return Fields({name: document}, name).inners(name)


def _statement(detail: Fields) -> StatementOutcome:
    return StatementOutcome(
        campaign=detail.integer("campaign"),
        sequence=detail.integer("sequence"),
        tree_size=detail.integer("tree_size"),
        counts=counts_from_fields(detail.inner("counts")),
        lines_total_base_units=detail.integer("lines_total_base_units"),
        is_final=detail.boolean("is_final"),
        reason=detail.text("reason"),
        transaction=detail.text("transaction_hash"),
        signers=tuple(
            answer.text("attestor")
            for answer in detail.inners("attestations")
            if answer.has_value("signature")
        ),
    )
