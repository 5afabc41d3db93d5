"""An outbox over real parts, and ways to kill it between any two of its steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from adtally.chain.abi import Call
from adtally.chain.connection import Chain
from adtally.chain.contracts.campaign_escrow import CampaignEscrow
from adtally.chain.contracts.event_log import EventLog
from adtally.chain.effects import ANCHOR, Effect, standard_effects
from adtally.chain.outbox import Outbox, OutboxPolicy
from adtally.chain.ports import NewTransaction, OutboxRow, OutboxState
from adtally.storage.database import Database
from adtally.storage.stores import SqlOutboxStore
from adtally.types import Address
from support.chain_site import OPERATOR, ChainSite


class Clock:
    """Real time of the outbox, in the test's hand."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


class Killed(BaseException):
    """The process is dead: nothing after this point was executed."""


class KillAt:
    """Counts the outbox's contacts with the world, and kills before or after the n-th one."""

    def __init__(self, contact: int) -> None:
        self.left = contact

    async def pass_on(self, work: Callable[[], Awaitable[Any]]) -> Any:
        self.left -= 1
        if self.left == 0:
            raise Killed
        result = await work()
        self.left -= 1
        if self.left == 0:
            raise Killed
        return result


class MortalStore:
    """The real store, seen by a process that can die at every access."""

    def __init__(self, store: SqlOutboxStore, kill: KillAt) -> None:
        self._store, self._kill = store, kill

    async def add(self, new: NewTransaction) -> OutboxRow:
        row: OutboxRow = await self._kill.pass_on(lambda: self._store.add(new))
        return row

    async def get(self, row_id: int) -> OutboxRow | None:
        return await self._store.get(row_id)

    async def find(self, effect_key: str) -> OutboxRow | None:
        return await self._store.find(effect_key)

    async def open_rows(self, sender: Address) -> list[OutboxRow]:
        return await self._store.open_rows(sender)

    async def save(self, row: OutboxRow) -> None:
        await self._kill.pass_on(lambda: self._store.save(row))


class MortalChain(Chain):
    """The real chain, seen by a process that can die at every request."""

    def __init__(self, site: ChainSite, kill: KillAt) -> None:
        super().__init__(site.chain.rpc.url, site.chain.finality)
        batch = self.rpc.batch
        self.rpc.batch = lambda calls: kill.pass_on(lambda: batch(calls))  # type: ignore[method-assign]


class Office:
    """Outbox, its store and clock for the site's operator; ``restart`` forgets all memory."""

    def __init__(
        self,
        site: ChainSite,
        database: Database,
        *,
        chain: Chain | None = None,
        policy: OutboxPolicy | None = None,
        effects: dict[str, Effect] | None = None,
    ) -> None:
        self.site = site
        self.store = SqlOutboxStore(database)
        self.clock = Clock()
        self.chain = chain or site.chain
        self.policy = policy
        self.extra = effects or {}
        self.outbox = self._open(self.store, self.chain)

    def _open(self, store: SqlOutboxStore | MortalStore, chain: Chain) -> Outbox:
        log = EventLog(chain, self.site.event_log.address)
        escrow = CampaignEscrow(chain, self.site.escrow.address)
        return Outbox(
            chain,
            self.site.deployment.identity,
            store,
            OPERATOR.private_key,
            {**standard_effects(log, escrow), **self.extra},
            policy=self.policy,
            now_ms=self.clock,
        )

    def restart(self) -> None:
        self.outbox = self._open(self.store, self.chain)

    def restart_mortal(self, kill: KillAt) -> Chain:
        """The next outbox dies by ``kill``; the caller closes its chain."""
        chain = MortalChain(self.site, kill)
        self.outbox = self._open(MortalStore(self.store, kill), chain)
        return chain

    async def ask_anchor(self, previous: int, size: int) -> int:
        call: Call = self.site.anchor_call(previous, size)
        return await self.outbox.enqueue(f"anchor:{size}", ANCHOR, call)

    async def row(self, row_id: int) -> OutboxRow:
        row = await self.store.get(row_id)
        assert row is not None
        return row

    async def states(self, *row_ids: int) -> list[OutboxState]:
        return [(await self.row(row_id)).state for row_id in row_ids]

    async def nonce(self) -> int:
        return await self.site.chain.nonce(OPERATOR.address)

    async def step_until(self, row_id: int, state: OutboxState, *, steps: int = 200) -> OutboxRow:
        """Step until the row has this state; the clock moves on 100 ms a step."""
        for _ in range(steps):
            await self.outbox.step()
            row = await self.row(row_id)
            if row.state is state:
                return row
            self.clock.ms += 100
        raise AssertionError(f"still {row}")
