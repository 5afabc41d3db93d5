"""A deployment document from somebody untrusted, against a real chain; and what is kept of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from adtally.chain.compile import Artifact
from adtally.chain.deployment import DeployedContract, DeployedToken, Deployment
from adtally.chain.deployment_check import compare_with_chain
from adtally.client.chain_cache import RecordedChain
from support.chain_site import ChainSite

pytestmark = [pytest.mark.chain, pytest.mark.asyncio]


async def differing(
    site: ChainSite, artifacts: dict[str, Artifact], deployment: Deployment
) -> set[str]:
    compared = await compare_with_chain(deployment, site.chain, artifacts)
    return {each.what for each in compared if each.expected != each.found}


async def test_compare__honest_document__agrees_with_chain_and_sources(
    hardhat_site: ChainSite, artifacts: dict[str, Artifact]
) -> None:
    compared = await compare_with_chain(hardhat_site.deployment, hardhat_site.chain, artifacts)
    assert [each for each in compared if each.expected != each.found] == []
    sources = [each.found for each in compared if "sources" in each.what]
    assert sources == [
        "AccessManager", "Membership", "EventLog", "CampaignEscrow", "OperatorBond"
    ]  # fmt: skip


async def test_compare__each_lie__named(
    hardhat_site: ChainSite, artifacts: dict[str, Artifact]
) -> None:
    honest = hardhat_site.deployment
    usdx = honest.tokens["USDX"]
    # Another contract of the right kind of length is no escrow; its hash is told truly.
    swapped = replace(honest, campaign_escrow=honest.membership)
    for lie, names in (
        (replace(honest, event_log=DeployedContract(honest.event_log.address, bytes(32))),
         {"code hash"}),
        (swapped, {"code on chain, against the sources here", "event log of the escrow"}),
        (replace(honest, operator_member=7), {"operator member"}),
        (replace(honest, attestor_set=9), {"attestor set"}),
        (replace(honest, attestors=honest.attestors[1:]), {"attestors and threshold"}),
        (replace(honest, threshold=honest.threshold + 1), {"attestors and threshold"}),
        (replace(honest, tokens={"USDX": DeployedToken(usdx.address, 18)}), {"decimals"}),
        (replace(honest, tokens={"EURX": usdx}), {"symbol"}),
    ):  # fmt: skip
        assert names <= await differing(hardhat_site, artifacts, lie), names


async def test_is_code__one_byte_changed__not_the_contract(
    hardhat_site: ChainSite, artifacts: dict[str, Artifact]
) -> None:
    code = await hardhat_site.chain.code(hardhat_site.deployment.event_log.address)
    assert artifacts["EventLog"].immutables
    assert artifacts["EventLog"].is_code(code)
    changed = bytearray(code)
    changed[5] ^= 1
    assert not artifacts["EventLog"].is_code(bytes(changed))
    assert not artifacts["EventLog"].is_code(code[:-1])


async def test_record__second_audit__asks_the_node_for_new_blocks_only(
    hardhat_site: ChainSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, deployment = hardhat_site.chain, hardhat_site.deployment
    addresses = [contract.address for contract in deployment.contracts.values()]
    path, remarks = tmp_path / "record", list[str]()
    final = await chain.final()
    assert final is not None
    record = RecordedChain(chain, path, remarks.append)
    whole = await record.logs(deployment.block_number, final.number, addresses)
    assert whole == await chain.logs(deployment.block_number, final.number, addresses)
    await record.block(deployment.block_number)
    record.save(final)

    asked: list[int] = []
    honest = chain.logs

    async def logs(first: int, last: int, contracts: list[bytes]) -> object:
        asked.append(first)
        return await honest(first, last, contracts)

    monkeypatch.setattr(chain, "logs", logs)
    again = RecordedChain(chain, path, remarks.append)
    assert await again.logs(deployment.block_number, final.number + 5, addresses) == whole
    assert asked == [final.number + 1]
    assert remarks == []

    spoiled = bytearray(path.read_bytes())
    spoiled[-9] ^= 1
    path.write_bytes(spoiled)
    anew = RecordedChain(chain, path, remarks.append)
    assert await anew.logs(deployment.block_number, final.number, addresses) == whole
    assert "spoiled" in remarks[0]


async def test_record__of_a_chain_that_went_back__read_anew(
    hardhat_site: ChainSite, tmp_path: Path
) -> None:
    chain, deployment = hardhat_site.chain, hardhat_site.deployment
    addresses = [contract.address for contract in deployment.contracts.values()]
    path, remarks = tmp_path / "record", list[str]()
    final = await chain.final()
    assert final is not None
    record = RecordedChain(chain, path, remarks.append)
    whole = await record.logs(deployment.block_number, final.number, addresses)
    record.save(replace(final, hash=b"\x31" * 32))
    anew = RecordedChain(chain, path, remarks.append)
    assert await anew.logs(deployment.block_number, final.number, addresses) == whole
    assert "not what it was" in remarks[0]
