"""Real nodes: one hardhat per test session, one anvil per test that wants one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from adtally.chain.compile import Artifact, compile_contracts
from adtally.chain.finality import Finality, FinalityKind
from adtally.chain.local_node import LocalNode, start_anvil, start_hardhat
from adtally.storage.database import Database
from adtally.storage.migrations import upgrade
from support.chain_site import PROJECT_ROOT, ChainSite, make_site

SIXTY_FOUR = Finality(FinalityKind.CONFIRMATIONS, 64)


@pytest.fixture(scope="session")
def artifacts() -> dict[str, Artifact]:
    return compile_contracts(PROJECT_ROOT)


@pytest.fixture(scope="session")
def hardhat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNode]:
    node = start_hardhat(PROJECT_ROOT, tmp_path_factory.mktemp("hardhat") / "node.log")
    yield node
    node.stop()


@pytest.fixture
def anvil(tmp_path: Path) -> Iterator[LocalNode]:
    node = start_anvil(PROJECT_ROOT, tmp_path / "anvil.log")
    yield node
    node.kill()


@pytest_asyncio.fixture
async def hardhat_site(
    hardhat: LocalNode, artifacts: dict[str, Artifact]
) -> AsyncIterator[ChainSite]:
    """Fresh contracts on hardhat, where every block is final."""
    site = await make_site(hardhat.url, artifacts)
    yield site
    await site.chain.close()


@pytest_asyncio.fixture
async def anvil_site(anvil: LocalNode, artifacts: dict[str, Artifact]) -> AsyncIterator[ChainSite]:
    """Fresh contracts on a fresh anvil, where a block is final under 64 others."""
    site = await make_site(anvil.url, artifacts, finality=SIXTY_FOUR)
    yield site
    await site.chain.close()


@pytest_asyncio.fixture(params=["hardhat", "anvil"])
async def any_site(
    request: pytest.FixtureRequest, artifacts: dict[str, Artifact]
) -> AsyncIterator[ChainSite]:
    """Fresh contracts on either node; every block is final."""
    node: LocalNode = request.getfixturevalue(request.param)
    site = await make_site(node.url, artifacts)
    yield site
    await site.chain.close()


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite+aiosqlite:///{tmp_path / 'control.sqlite3'}")
    await upgrade(opened)
    yield opened
    await opened.engine.dispose()
