"""``adtally reconcile``: the service's books beside the chain's, to the unit, once.

The books are what the service publishes (deposits in its log, payments it has posted, its newest
settled statement); the chain is read at one final block. The service may be a few blocks behind,
so a difference is looked at again before it is called one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from adtally.chain.connection import Chain
from adtally.chain.contracts.campaign_escrow import CampaignEscrow, Objection
from adtally.chain.contracts.token import Token
from adtally.chain.deployment import DeployedToken, Deployment
from adtally.client.fields import Fields
from adtally.client.log_client import LogClient
from adtally.demo.money import TokenUnit
from adtally.errors import ChainUnavailable
from adtally.types import Address, BlockStamp

_LOOKS = 5
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure on both sides, in base units of ``unit``.

    ``is_bound``: the chain may have more, which was sent there by mistake and is owed to nobody.
    """

    subject: str
    name: str
    unit: TokenUnit
    books: int
    chain: int
    is_bound: bool = False

    @property
    def agrees(self) -> bool:
        return self.books == self.chain or (self.is_bound and self.books < self.chain)


async def reconcile(service: str, rpc_url: str, deployment_path: Path, console: Console) -> bool:
    """Compare, show; returns whether everything agrees."""
    deployment = Deployment.load(deployment_path)
    chain = Chain(rpc_url, deployment.finality)
    log = LogClient(service)
    try:
        await deployment.check(chain)
        for look in range(_LOOKS):
            block = await _final(chain)
            figures = await _figures(log, chain, deployment, block)
            if all(figure.agrees for figure in figures):
                break
            if look + 1 < _LOOKS:
                await asyncio.sleep(_PAUSE_SECONDS)
        waiting = Fields({"requests": await log.document("/attestations")}, "requests")
    finally:
        await log.close()
        await chain.close()
    _show_waiting(waiting.inners("requests"), console)
    return _show(figures, block, console)


def _show_waiting(requests: list[Fields], console: Console) -> None:
    """What attestors have not signed enough of, who is missing, and who refuses."""
    for request in reversed(requests):
        refused = request.inners("refused")
        if request.boolean("is_complete") and not refused:
            continue
        what = f"checkpoint of {request.integer('tree_size')} entries"
        if request.has_value("campaign"):
            what = (
                f"statement {request.integer('sequence')} of campaign {request.integer('campaign')}"
            )
        signed = len(request.items("signed"))
        console.print(
            f"{what}: {signed} of {request.integer('threshold')} signatures", highlight=False
        )
        for missing in request.inners("missing"):
            waits = missing.integer("waits_seconds")
            console.print(f"    {missing.text('attestor')} missing for {waits} s", highlight=False)
        for answer in refused:
            refusal = answer.inner("refusal")
            console.print(
                f"    {answer.text('attestor')} refuses: {refusal.text('check')}, expected "
                f"{refusal.text('expected')}, found {refusal.text('found')}",
                highlight=False,
            )


async def _final(chain: Chain) -> BlockStamp:
    block = await chain.final()
    if block is None:
        raise ChainUnavailable("the chain has no final block yet", action="try again in a while")
    return block


async def _figures(
    log: LogClient, chain: Chain, deployment: Deployment, block: BlockStamp
) -> list[Figure]:
    escrow = CampaignEscrow(chain, deployment.campaign_escrow.address)
    campaigns = Fields({"campaigns": await log.campaigns()}, "campaigns").inners("campaigns")
    payments = Fields({"payments": await log.payments()}, "payments").inners("payments")
    figures: list[Figure] = []
    held: dict[Address, int] = {}
    for campaign in campaigns:
        number = campaign.integer("id")
        token = campaign.inner("terms").octets("token", 20)
        unit = _unit(deployment, token)
        view = await escrow.campaign(number, block)
        funded = campaign.integer("funded_base_units")
        paid = {
            kind: sum(
                payment.integer("amount_base_units")
                for payment in payments
                if payment.integer("campaign") == number and payment.text("kind") == kind
            )
            for kind in ("claim", "cut", "refund")
        }
        stated = await _stated(log, number)
        subject = f"campaign {number}"
        figures += [
            Figure(subject, "funded", unit, funded, view.funded_base_units),
            Figure(subject, "paid", unit, paid["claim"], view.claimed_base_units),
            Figure(subject, "cuts", unit, paid["cut"], view.cuts_paid_base_units),
            Figure(subject, "refunded", unit, paid["refund"], view.refunded_base_units),
            Figure(subject, "stated", unit, stated, view.latest.lines_total_base_units),
        ]
        held[token] = held.get(token, 0) + funded - sum(paid.values())
        if view.objection is not Objection.NONE:
            held[token] += campaign.inner("terms").integer("objection_bond_base_units")
    for token, amount in held.items():
        balance = await Token(chain, token).balance_of(escrow.address, block)
        unit = _unit(deployment, token)
        figures.append(Figure("escrow", "balance", unit, amount, balance, is_bound=True))
    return figures


async def _stated(log: LogClient, campaign: int) -> int:
    """The lines' total of the newest settled statement, 0 before the first."""
    rows = Fields({"rows": await log.statements(campaign)}, "statements").inners("rows")
    settled = [row for row in rows if row.text("state") == "settled"]
    return settled[-1].integer("lines_total_base_units") if settled else 0


def _unit(deployment: Deployment, token: Address) -> TokenUnit:
    known: dict[Address, tuple[str, DeployedToken]] = {
        each.address: (symbol, each) for symbol, each in deployment.tokens.items()
    }
    if token in known:
        symbol, deployed = known[token]
        return TokenUnit(symbol, deployed.decimals)
    return TokenUnit(f"base units of 0x{token.hex()}", 0)


def _show(figures: list[Figure], block: BlockStamp, console: Console) -> bool:
    table = Table("", "figure", "books", "chain", "", box=box.SIMPLE_HEAD)
    table.columns[2].justify = table.columns[3].justify = "right"
    for figure in figures:
        mark = "[green]equal[/green]" if figure.agrees else "[bold red]differs[/bold red]"
        if figure.agrees and figure.books != figure.chain:
            mark = "[yellow]surplus[/yellow]"
        cells = (figure.unit.named(figure.books), figure.unit.named(figure.chain))
        table.add_row(figure.subject, figure.name, *cells, mark)
    console.print(table)
    agrees = all(figure.agrees for figure in figures)
    word = "[bold green]agree[/bold green]" if agrees else "[bold red]differ[/bold red]"
    console.print(f"books and chain {word} at block {block.number}")
    return agrees
