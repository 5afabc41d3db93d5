"""The deployment file against real chains: recognised, or refused with words that help."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adtally.chain.compile import Artifact
from adtally.chain.connection import Chain
from adtally.chain.contracts.access_manager import AccessManager, AccessRole
from adtally.chain.contracts.operator_bond import OperatorBond
from adtally.chain.contracts.token import Token
from adtally.chain.deploy import BondTerms, MemberKeys, Officer, Officers, deploy
from adtally.chain.deployment import DeployedContract, Deployment
from adtally.chain.local_node import LocalNode, start_anvil
from adtally.errors import ChainReverted, ChainUnavailable, ForeignChain, InvalidInput
from adtally.types import Role
from support.chain_site import (
    ATTESTORS,
    DEPLOYER,
    OPERATOR,
    PROJECT_ROOT,
    RECEIPTS,
    STRANGER,
    ChainSite,
    make_site,
)

pytestmark = pytest.mark.chain


@pytest.mark.asyncio
async def test_deploy__saved_and_loaded__is_accepted_by_its_chain(
    any_site: ChainSite, tmp_path: Path
) -> None:
    path = tmp_path / "deployment.json"
    any_site.deployment.save(path)
    loaded = Deployment.load(path)
    assert loaded == any_site.deployment
    await loaded.check(any_site.chain)
    assert {symbol: token.decimals for symbol, token in loaded.tokens.items()} == {
        "USDX": 6,
        "DAIX": 18,
    }
    for symbol, token in loaded.tokens.items():
        assert token.currency == "USD"
        coin = Token(any_site.chain, token.address)
        assert (await coin.symbol(), await coin.decimals()) == (symbol, token.decimals)


@pytest.mark.asyncio
async def test_deploy__bond_in_another_token__is_of_that_token_and_penalty(
    hardhat_site: ChainSite, artifacts: dict[str, Artifact]
) -> None:
    chain, token = hardhat_site.chain, hardhat_site.deployment.tokens["DAIX"].address
    deployment = await deploy(
        chain,
        artifacts,
        deployer_key=DEPLOYER.private_key,
        operator=MemberKeys(OPERATOR.address, RECEIPTS.address),
        attestors=[attestor.address for attestor in ATTESTORS],
        threshold=2,
        bond=BondTerms(token, 7),
    )
    assert deployment.operator_bond is not None
    bond = OperatorBond(chain, deployment.operator_bond.address)
    assert (await bond.token(), await bond.penalty(), await bond.bond()) == (token, 7, 0)


@pytest.mark.asyncio
async def test_deployment_check__fresh_chain__is_refused(
    anvil_site: ChainSite, tmp_path: Path
) -> None:
    fresh = start_anvil(
        PROJECT_ROOT, tmp_path / "fresh.log", arguments=["--timestamp", "1700000000"]
    )
    chain = Chain(fresh.url)
    with pytest.raises(ForeignChain) as caught:
        await anvil_site.deployment.check(chain)
    assert caught.value.field == "genesis_hash"
    assert "adtally deploy" in (caught.value.action or "")
    await chain.close()
    fresh.kill()


@pytest.mark.asyncio
async def test_deployment_check__other_code_or_chain_id__is_refused(anvil_site: ChainSite) -> None:
    deployment = anvil_site.deployment
    moved = DeployedContract(b"\x77" * 20, deployment.event_log.code_hash)
    with pytest.raises(ForeignChain) as caught:
        await replace(deployment, event_log=moved).check(anvil_site.chain)
    assert (caught.value.field, caught.value.found) == ("contracts.event_log", "no code")
    with pytest.raises(ForeignChain) as caught:
        await replace(deployment, chain_id=5).check(anvil_site.chain)
    assert caught.value.field == "chain_id"


@pytest.mark.asyncio
async def test_chain__nobody_listens__is_unavailable(anvil: LocalNode) -> None:
    anvil.kill()
    chain = Chain(anvil.url)
    with pytest.raises(ChainUnavailable):
        await chain.latest()
    await chain.close()


@pytest.mark.asyncio
async def test_deploy__threshold_not_over_half__is_refused_before_anything_is_sent(
    anvil: LocalNode, artifacts: dict[str, Artifact]
) -> None:
    chain = Chain(anvil.url)
    for attestors, threshold in ((ATTESTORS, 1), (ATTESTORS, 4), ((*ATTESTORS, ATTESTORS[0]), 3)):
        with pytest.raises(InvalidInput):
            await deploy(
                chain,
                artifacts,
                deployer_key=DEPLOYER.private_key,
                operator=MemberKeys(OPERATOR.address, RECEIPTS.address),
                attestors=[attestor.address for attestor in attestors],
                threshold=threshold,
            )
    assert await chain.nonce(DEPLOYER.address) == 0
    await chain.close()


@pytest.mark.asyncio
async def test_deploy__officers_with_delay__deployer_keeps_nothing(
    anvil: LocalNode, artifacts: dict[str, Artifact]
) -> None:
    officers = Officers(
        admin=Officer(STRANGER.address, 3_600),
        registrar=Officer(STRANGER.address, 0),
        pauser=Officer(OPERATOR.address, 0),
        treasurer=Officer(STRANGER.address, 86_400),
    )
    site = await make_site(anvil.url, artifacts, officers=officers)
    manager = AccessManager(site.chain, site.deployment.access_manager.address)
    for role in AccessRole:
        held, _ = await manager.has_role(role, DEPLOYER.address)
        assert not held
    assert await manager.has_role(AccessRole.ADMIN, STRANGER.address) == (True, 3_600)
    assert await manager.has_role(AccessRole.TREASURER, STRANGER.address) == (True, 86_400)

    def register(account: bytes) -> Any:
        return site.membership.register_call(
            account, Role.PUBLISHER, kyc_reference=bytes(32), kyc_expires_seconds=2**40
        )

    with pytest.raises(ChainReverted, match="AccessManagedUnauthorized"):
        await site.wallet(DEPLOYER).send(register(b"\x01" * 20))
    await site.wallet(STRANGER).send(register(b"\x01" * 20))
    await site.wallet(OPERATOR).send(site.escrow.pause_call())
    await site.wallet(OPERATOR).send(site.escrow.unpause_call())

    recover = site.escrow.recover_surplus_call(site.dollars.address, STRANGER.address)
    await site.wallet(STRANGER).send(site.dollars.mint_call(site.escrow.address, 5))
    with pytest.raises(ChainReverted):
        await site.wallet(STRANGER).send(recover)
    await site.wallet(STRANGER).send(manager.schedule_call(recover))
    await site.chain.rpc.request("evm_increaseTime", 86_401)
    await site.chain.rpc.request("evm_mine")
    await site.wallet(STRANGER).send(manager.execute_call(recover))
    assert await site.dollars.balance_of(STRANGER.address) == 5
    await site.chain.close()
