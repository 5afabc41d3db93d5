"""The watcher on a real anvil: complete, in order, and right again after reorgs."""

from __future__ import annotations

import pytest

from adtally.chain.connection import Chain, ChainIdentity
from adtally.chain.contracts.event_log import ANCHORED, decode_anchored
from adtally.chain.watcher import Watcher
from adtally.errors import ForeignChain, Reorged
from adtally.storage.database import Database
from adtally.storage.stores import SqlWatcherStore
from adtally.types import ChainLog
from support.chain_site import STRANGER, ChainSite
from support.faulty_rpc import faulty_rpc

pytestmark = pytest.mark.chain


def _watcher(
    site: ChainSite, database: Database, *, chain: Chain | None = None, max_range: int = 1000
) -> Watcher:
    return Watcher(
        chain or site.chain,
        site.deployment.identity,
        SqlWatcherStore(database),
        [contract.address for contract in site.deployment.contracts.values()],
        first_block=site.deployment.block_number,
        max_range=max_range,
    )


async def _stored(database: Database) -> list[ChainLog]:
    return await SqlWatcherStore(database).logs(0, 10**9)


async def _on_chain(site: ChainSite) -> list[ChainLog]:
    addresses = [contract.address for contract in site.deployment.contracts.values()]
    latest = await site.chain.latest()
    return await site.chain.logs(site.deployment.block_number, latest.number, addresses)


async def _anchor(site: ChainSite, first: int, last: int) -> None:
    wallet = site.wallet(STRANGER)
    for size in range(first, last):
        await wallet.send(site.anchor_call(size, size + 1))


@pytest.mark.asyncio
@pytest.mark.parametrize("max_range", [1, 3, 1000])
async def test_watcher__ranges_of_any_size__store_what_is_on_chain(
    max_range: int, anvil_site: ChainSite, database: Database
) -> None:
    await _anchor(anvil_site, 0, 5)
    watcher = _watcher(anvil_site, database, max_range=max_range)
    assert await watcher.step() == await anvil_site.chain.latest()
    assert await _stored(database) == await _on_chain(anvil_site) != []
    await _anchor(anvil_site, 5, 7)
    await watcher.step()
    await watcher.step()
    assert await _stored(database) == await _on_chain(anvil_site)


@pytest.mark.asyncio
@pytest.mark.parametrize("depth", [1, 2, 5, 20, 64])
async def test_watcher__reorg__forgets_what_is_gone_and_reads_what_came(
    depth: int, anvil_site: ChainSite, database: Database
) -> None:
    for _ in range(70):
        await anvil_site.chain.rpc.request("evm_mine")
    watcher = _watcher(anvil_site, database, max_range=7)
    for size in range(4):
        await _anchor(anvil_site, size, size + 1)
        await watcher.step()
    before = await _stored(database)
    await anvil_site.chain.rpc.request("anvil_reorg", depth, [])
    await watcher.step()
    assert await _stored(database) == await _on_chain(anvil_site)
    assert len(await _stored(database)) == len(before) - min(depth, 4)
    await _anchor(anvil_site, max(4 - depth, 0), 6)
    await watcher.step()
    after = await _stored(database)
    assert after == await _on_chain(anvil_site)
    anchors = [log for log in after if ANCHORED.matches(log)]
    assert [decode_anchored(log).number for log in anchors] == [1, 2, 3, 4, 5, 6]


@pytest.mark.asyncio
async def test_watcher__chain_became_shorter__forgets_the_blocks_beyond(
    anvil_site: ChainSite, database: Database
) -> None:
    watcher = _watcher(anvil_site, database)
    await watcher.step()
    await _anchor(anvil_site, 0, 3)
    await watcher.step()
    await anvil_site.chain.rpc.request("anvil_rollback", 3)
    assert await watcher.step() == await anvil_site.chain.latest()
    assert await _stored(database) == await _on_chain(anvil_site)


@pytest.mark.asyncio
async def test_final_range__confirmations__follows_64_blocks_behind(
    anvil_site: ChainSite, database: Database
) -> None:
    watcher = _watcher(anvil_site, database, max_range=50)
    first = anvil_site.deployment.block_number
    await watcher.step()
    await _anchor(anvil_site, 0, 2)
    await watcher.step()
    assert await watcher.final_range(first - 1) is None
    await anvil_site.chain.rpc.request("anvil_mine", hex(64))
    await watcher.step()
    after, seen, after_hash = first - 1, [], None
    while (found := await watcher.final_range(after, after_hash)) is not None:
        assert found.first_block == after + 1
        after, after_hash = found.last.number, found.last.hash
        seen += found.logs
    final = await anvil_site.chain.final()
    assert final is not None
    assert after == final.number
    assert seen == [log for log in await _on_chain(anvil_site) if log.block_number <= after]
    assert await watcher.final_range(after, after_hash) is None


@pytest.mark.asyncio
async def test_final_range__final_block_is_gone__says_reorged(
    anvil_site: ChainSite, database: Database
) -> None:
    await anvil_site.chain.rpc.request("anvil_mine", hex(64))
    watcher = _watcher(anvil_site, database)
    await watcher.step()
    final = await anvil_site.chain.final()
    assert final is not None
    with pytest.raises(Reorged):
        await watcher.final_range(final.number, b"\x01" * 32)


@pytest.mark.asyncio
async def test_final_range__reorg_not_read_yet__waits(
    any_site: ChainSite, database: Database
) -> None:
    """Between a reorg and the next step the store holds logs of the old chain."""
    watcher = _watcher(any_site, database)
    assert await watcher.final_range(any_site.deployment.block_number - 1) is None
    await watcher.step()
    found = await watcher.final_range(any_site.deployment.block_number - 1)
    assert found is not None
    assert list(found.logs) == await _on_chain(any_site)


@pytest.mark.asyncio
async def test_watcher__reorg_while_reading__stores_nothing_of_it(
    anvil_site: ChainSite, database: Database
) -> None:
    await _anchor(anvil_site, 0, 3)
    async with faulty_rpc(anvil_site.chain.rpc.url) as proxy:
        chain = Chain(proxy.url, anvil_site.chain.finality)
        watcher = _watcher(anvil_site, database, chain=chain)
        done: list[str] = []

        def reorg_at_logs(method: str, _: object) -> None:
            if method == "eth_getLogs" and not done:
                done.append(method)
                proxy.after_answer = lambda: anvil_site.chain.rpc.request("anvil_reorg", 2, [])

        proxy.fault = reorg_at_logs
        with pytest.raises(Reorged):
            await watcher.step()
        assert await _stored(database) == []
        await watcher.step()
        await chain.close()
    assert await _stored(database) == await _on_chain(anvil_site)


@pytest.mark.asyncio
async def test_watcher__foreign_chain__stores_nothing(
    anvil_site: ChainSite, database: Database
) -> None:
    watcher = Watcher(
        anvil_site.chain,
        ChainIdentity(anvil_site.deployment.chain_id, b"\x05" * 32),
        SqlWatcherStore(database),
        [anvil_site.event_log.address],
        first_block=0,
    )
    with pytest.raises(ForeignChain, match="started afresh"):
        await watcher.step()
    assert await _stored(database) == []
