"""Compares books with chain, to the unit. Pure: what was read comes in as arguments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from adtally.chain.contracts.campaign_escrow import CampaignView, Objection
from adtally.settlement.rates import (
    cut_amount_base_units,
    released_base_units,
    reserve_base_units,
)
from adtally.storage.rows import StatementRow, TransferKind, TransferRow
from adtally.types import Address, Cut, Line


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that is not the same on both sides, or breaks its bound."""

    subject: str
    figure: str
    books: object
    chain: object

    def __str__(self) -> str:
        return f"{self.subject}: {self.figure}: books {self.books}, chain {self.chain}"


@dataclass(frozen=True, slots=True)
class CampaignAccount:
    """A campaign as the books have it and as the chain has it, both at the same final block.

    Attributes:
        latest: the newest statement whose submission the books have posted.
        holdback_basis_points: kept back of lines and cuts at this block.
        bond_base_units: what an objection costs here.
        active_lines: lines of the statement that is active on chain, empty without one.
        orders_paid: what the chain says each publisher was paid, for those in ``transfers``.
        released_lines: the most that statements up to the active one have released of each
            publisher's line while the campaign was open; corrections lower lines, not payments.
        released_total_base_units: the same of the lines' total, which cuts are paid of.
        logged_funded_base_units: deposits according to the log's facts; None if the facts don't
            reach this block.
        has_own_attestors: whether the campaign's attestor set is another one than the log's.
    """

    campaign: int
    token: Address
    cuts: tuple[Cut, ...]
    holdback_basis_points: int
    bond_base_units: int
    transfers: Sequence[TransferRow]
    latest: StatementRow | None
    active_lines: Sequence[Line]
    view: CampaignView
    orders_paid: Mapping[int, int]
    logged_funded_base_units: int | None
    has_own_attestors: bool = False
    released_lines: Mapping[int, int] = field(default_factory=dict)
    released_total_base_units: int = 0

    @property
    def is_estranged(self) -> bool:
        """Whether its own attestors have settled what this service never drafted."""
        found, ours = self.view.latest, self.latest
        known = (0, bytes(32)) if ours is None else (
            ours.statement.sequence, ours.statement.lines_root
        )  # fmt: skip
        return self.has_own_attestors and (found.sequence, found.lines_root) != known


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """A token's standing on chain: what the escrow holds, and what it says it owes.

    ``unbooked_base_units``: claims and cuts that ``liabilities`` still counts, of all campaigns.
    ``is_trusted``: the deployment names it. Any contract can call itself a token and have a
    campaign; only its holders are hurt when it lies.
    """

    token: Address
    balance_base_units: int
    liabilities_base_units: int
    unbooked_base_units: int
    is_trusted: bool = True

    @property
    def owed_base_units(self) -> int:
        """What the chain says the escrow owes."""
        return self.liabilities_base_units - self.unbooked_base_units


def campaign_differences(account: CampaignAccount) -> list[Difference]:
    """What does not agree in one campaign; empty if all is well.

    Of an estranged campaign only the money is compared: its lines are nobody's here.
    """
    if account.is_estranged:
        return list(_money(account))
    return [
        *_money(account),
        *_payees(account),
        *_statement(account),
        *_bounds(account),
    ]


def token_differences(
    tokens: Sequence[TokenAccount], transfers: Sequence[TransferRow]
) -> list[Difference]:
    """What does not agree per token over all campaigns.

    A balance above the liabilities is no difference: anyone can send tokens to the escrow. Nor
    is one below them where the token is not a trusted one: it may say what it likes.
    """
    owed = owed_by_token(transfers)
    found = []
    for account in tokens:
        subject, books = f"token 0x{account.token.hex()}", owed.get(account.token, 0)
        if account.owed_base_units != books:
            figure = "liabilities less unbooked payouts"
            found.append(Difference(subject, figure, books, account.owed_base_units))
        if account.is_trusted and account.balance_base_units < books:
            found.append(Difference(subject, "balance is under", books, account.balance_base_units))
    return found


def owed_by_token(transfers: Sequence[TransferRow]) -> dict[Address, int]:
    """Deposits and bonds minus everything paid out, by token."""
    owed: defaultdict[Address, int] = defaultdict(int)
    for row in transfers:
        sign = 1 if row.kind in (TransferKind.DEPOSIT, TransferKind.BOND) else -1
        owed[row.token] += sign * row.amount_base_units
    return dict(owed)


def _sum(account: CampaignAccount, kind: TransferKind) -> int:
    return sum(row.amount_base_units for row in account.transfers if row.kind is kind)


def _money(account: CampaignAccount) -> Iterator[Difference]:
    subject, view = f"campaign {account.campaign}", account.view
    pairs = (
        ("funded", TransferKind.DEPOSIT, view.funded_base_units),
        ("claimed", TransferKind.CLAIM, view.claimed_base_units),
        ("cuts paid", TransferKind.CUT, view.cuts_paid_base_units),
        ("refunded", TransferKind.REFUND, view.refunded_base_units),
    )
    for figure, kind, chain in pairs:
        if (books := _sum(account, kind)) != chain:
            yield Difference(subject, figure, books, chain)
        announced = [row.total_base_units for row in account.transfers if row.kind is kind]
        # Claims and cuts announce a total for each payee, the others one for the campaign.
        whole = kind in (TransferKind.DEPOSIT, TransferKind.REFUND)
        if whole and announced and announced[-1] != chain:
            yield Difference(subject, f"{figure}, as announced", announced[-1], chain)
    bond = _sum(account, TransferKind.BOND) - _sum(account, TransferKind.BOND_RELEASED)
    held = 0 if view.objection is Objection.NONE else account.bond_base_units
    if bond != held:
        yield Difference(subject, "objection bond", bond, held)
    logged = account.logged_funded_base_units
    if logged is not None and logged != view.funded_base_units:
        yield Difference(subject, "funded, as logged", logged, view.funded_base_units)


def _payees(account: CampaignAccount) -> Iterator[Difference]:
    subject = f"campaign {account.campaign}"
    paid = paid_by_member(account.transfers, TransferKind.CLAIM)
    released = {
        line.publisher: released_base_units(line.amount_base_units, account.holdback_basis_points)
        for line in account.active_lines
    }
    for publisher, books in paid.items():
        chain = account.orders_paid.get(publisher)
        if chain != books:
            yield Difference(subject, f"paid to publisher {publisher}", books, chain)
        most = max(released.get(publisher, 0), account.released_lines.get(publisher, 0))
        if books > most:
            figure = f"paid to publisher {publisher} over what is released of its line"
            yield Difference(subject, figure, f"released {most}", books)


def _statement(account: CampaignAccount) -> Iterator[Difference]:
    subject, found = f"campaign {account.campaign}", account.view.latest
    if account.latest is None:
        if found.sequence:
            yield Difference(subject, "latest statement", None, found.sequence)
        return
    statement, settlement = account.latest.statement, account.latest.settlement
    pairs = (
        ("sequence", statement.sequence, found.sequence),
        ("tree size", statement.tree_size, found.tree_size),
        ("lines total", statement.lines_total_base_units, found.lines_total_base_units),
        ("lines root", statement.lines_root.hex(), found.lines_root.hex()),
        ("corrections", statement.corrections, found.corrections),
        ("is final", account.latest.is_last, found.is_final),
        (
            "activates at",
            None if settlement is None else settlement.activates_at_seconds,
            found.activates_at_seconds,
        ),
        (
            "reserved",
            reserve_base_units(statement.lines_total_base_units, account.cuts),
            account.view.reserved_base_units,
        ),
    )
    for figure, books, chain in pairs:
        if books != chain:
            yield Difference(subject, f"latest statement, {figure}", books, chain)


def _bounds(account: CampaignAccount) -> Iterator[Difference]:
    subject, view = f"campaign {account.campaign}", account.view
    left = view.funded_base_units - view.refunded_base_units
    if view.reserved_base_units > left:
        yield Difference(subject, "reserved is over what is left", left, view.reserved_base_units)
    out = view.claimed_base_units + view.cuts_paid_base_units
    if out > view.reserved_base_units:
        yield Difference(subject, "paid is over what is reserved", view.reserved_base_units, out)
    released = released_base_units(
        view.active.lines_total_base_units, account.holdback_basis_points
    )
    released = max(released, account.released_total_base_units)
    cuts = sum(cut_amount_base_units(released, cut) for cut in account.cuts)
    if view.cuts_paid_base_units > cuts:
        figure = "cuts paid are over what is released of them"
        yield Difference(subject, figure, f"released {cuts}", view.cuts_paid_base_units)
    total = sum(line.amount_base_units for line in account.active_lines)
    if total != view.active.lines_total_base_units:
        active = view.active.lines_total_base_units
        yield Difference(subject, "sum of the active statement's lines", total, active)


def paid_by_member(transfers: Sequence[TransferRow], kind: TransferKind) -> dict[int, int]:
    """Sum of one kind of transfer, by member."""
    totals: defaultdict[int, int] = defaultdict(int)
    for row in transfers:
        if row.kind is kind:
            totals[row.member] += row.amount_base_units
    return dict(totals)
