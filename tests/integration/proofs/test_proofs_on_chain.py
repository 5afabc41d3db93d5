"""Bundles of a real deployment on hardhat and anvil: proven, explained, and verified both ways."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from eth_hash.auto import keccak
from rich.console import Console

from adtally.chain.local_node import LocalNode
from adtally.chain.log_proofs import LogProver
from adtally.commands.verify import VerifyOptions, verify
from adtally.errors import Conflict, ForeignChain, NotFound, VerificationFailed
from adtally.events.record import EventType
from adtally.events.verdict import Verdict
from adtally.proofs.bundle import Bundle
from adtally.proofs.findings import Standing
from adtally.proofs.verify import blocks_of, verify_bundle
from support.jobs_world import JobsWorld
from support.proof_scene import ProofScene

pytestmark = pytest.mark.chain


def says(scene: ProofScene, bundle: Bundle) -> dict[str, Standing]:
    return {line.topic: line.standing for line in verify_bundle(bundle, scene.trust(bundle)).lines}


async def first_id(scene: ProofScene) -> bytes:
    store = scene.world.context.sequencer.store
    index = next(i for i in range(store.size) if len(store.entry(i)) == 112)
    return scene.logged_id(index)


@pytest.mark.asyncio
async def test_bundle__counted_and_paid_event__all_shown(scene: ProofScene) -> None:
    bundle = await scene.bundle(await first_id(scene), with_facts=True)
    said = says(scene, bundle)
    for topic in ("batch", "log", "rule", "line", "attestors", "price", "payment", "chain"):
        assert said[topic] is Standing.SHOWN, topic
    assert said["counted"] is Standing.RESTS_ON
    assert verify_bundle(bundle, scene.trust(bundle)).is_complete


@pytest.mark.asyncio
async def test_bundle__refused_events__the_reason_shown_on_the_facts(scene: ProofScene) -> None:
    bot, parent = scene.bot(), scene.event()
    click = scene.event(EventType.CLICK, parent_id=parent.id)
    second = scene.event(EventType.CLICK, parent_id=parent.id)
    lost = scene.event(EventType.VIEWABLE, parent_id=bot.id)
    batch = [bot, parent, parent, replace(parent, country="FR"), click, second, lost]
    elsewhere = scene.event(campaign=77)
    over = [scene.event(EventType.IMPRESSION) for _ in range(450)]
    verdicts = list((await scene.send([*batch, elsewhere, *over])).verdicts)
    assert verdicts[:8] == [
        Verdict.KNOWN_BOT,
        Verdict.ACCEPTED,
        Verdict.DUPLICATE,
        Verdict.CONFLICT,
        Verdict.ACCEPTED,
        Verdict.PARENT_ALREADY_USED,
        Verdict.UNKNOWN_PARENT,
        Verdict.UNKNOWN_CAMPAIGN,
    ]
    assert verdicts[-1] is Verdict.BUDGET_EXHAUSTED
    await scene.world.settle_down()
    for event, occurrence, verdict in (
        (bot, 0, Verdict.KNOWN_BOT),
        (parent, 1, Verdict.DUPLICATE),
        (parent, 2, Verdict.CONFLICT),
        (second, 0, Verdict.PARENT_ALREADY_USED),
        (lost, 0, Verdict.UNKNOWN_PARENT),
        (elsewhere, 0, Verdict.UNKNOWN_CAMPAIGN),
        (over[-1], 0, Verdict.BUDGET_EXHAUSTED),
    ):
        bundle = await scene.bundle(event.id, occurrence=occurrence)
        assert bundle.record[3] == verdict
        said = says(scene, bundle)
        assert said["rule"] is Standing.SHOWN, verdict
        assert said["facts"] is Standing.RESTS_ON


@pytest.mark.asyncio
async def test_bundle__corrected_event__correction_cited_and_not_counted(
    scene: ProofScene,
) -> None:
    event = scene.bot()
    index = (await scene.send([event])).receipt.first_index + 1
    await scene.world.correct(index, 1)
    await scene.send([scene.event() for _ in range(20)])
    await scene.world.settle_down()
    bundle = await scene.bundle(event.id)
    found = verify_bundle(bundle, scene.trust(bundle))
    (text,) = [line.text for line in found.lines if line.topic == "correction"]
    assert "counts it (make_good), before" in text
    assert any("it is one of the" in line.text for line in found.lines)


@pytest.mark.asyncio
async def test_bundle__not_anchored_yet_or_never_logged__refused(scene: ProofScene) -> None:
    event = scene.event()
    await scene.send([event])
    with pytest.raises(Conflict, match="no anchor covers"):
        await scene.bundle(event.id)
    with pytest.raises(NotFound):
        await scene.bundle(scene.event().id)
    with pytest.raises(NotFound, match="so often"):
        await scene.bundle(await first_id(scene), occurrence=1)
    with pytest.raises(NotFound, match="statement"):
        await scene.bundle(await first_id(scene), statement=9)


async def run_verify(
    scene: ProofScene, folder: Path, data: bytes, **options: object
) -> tuple[bool, dict[str, str]]:
    """What ``adtally verify --json`` prints, against a deployment file."""
    file, deployment = folder / "event.adtproof", folder / "deployment.json"
    file.write_bytes(data)
    scene.world.deployment.save(deployment)
    out = io.StringIO()
    chosen = {"rpc_url": None, "entry_file": None, "as_json": True} | options
    is_complete = await verify(
        VerifyOptions(file, deployment, **chosen),  # type: ignore[arg-type]
        Console(file=out, width=10_000),
    )
    document = json.loads(out.getvalue())
    assert document["complete"] is is_complete
    return is_complete, {each["topic"]: each["standing"] for each in document["findings"]}


@pytest.mark.asyncio
async def test_verify__against_rpc_block_hashes_or_one_block__complete(
    scene: ProofScene, tmp_path: Path, node: LocalNode
) -> None:
    event_id = await first_id(scene)
    bundle = await scene.bundle(event_id)
    data = bundle.to_bytes()
    is_complete, said = await run_verify(scene, tmp_path, data, rpc_url=node.url)
    assert is_complete
    hashes = tuple(header.hash for header in blocks_of(bundle))
    assert (await run_verify(scene, tmp_path, data, block_hashes=hashes))[0]
    linked = await scene.bundle(event_id, link_headers=True)
    newest = (blocks_of(linked)[-1].hash,)
    assert (await run_verify(scene, tmp_path, linked.to_bytes(), block_hashes=newest))[0]
    is_complete, said = await run_verify(scene, tmp_path, data)
    assert not is_complete
    assert said["chain"] == "not shown"
    with pytest.raises(VerificationFailed, match="not one that you trust"):
        await run_verify(scene, tmp_path, data, block_hashes=hashes[:1])


@pytest.mark.asyncio
async def test_verify__bundle_of_another_deployment_on_the_same_chain__refused(
    scene: ProofScene, tmp_path: Path, node: LocalNode
) -> None:
    data = (await scene.bundle(await first_id(scene))).to_bytes()
    (tmp_path / "other").mkdir()
    other = await JobsWorld.start(node.url, tmp_path / "other")
    try:
        scene.world.deployment = other.deployment
        with pytest.raises(VerificationFailed, match="another deployment"):
            await run_verify(scene, tmp_path, data, rpc_url=node.url)
        scene.world.deployment = replace(other.deployment, genesis_hash=bytes(32))
        with pytest.raises(ForeignChain):
            await run_verify(scene, tmp_path, data, rpc_url=node.url)
    finally:
        await other.stop()


@pytest.mark.asyncio
async def test_prover__block_of_many_transactions__each_log_proven(scene: ProofScene) -> None:
    world, count = scene.world, 24
    wallet, token = world.wallet(2), world.token
    rpc = world.chain.rpc
    await rpc.request("evm_setAutomine", False)
    try:
        nonce = int(
            await rpc.request("eth_getTransactionCount", _hex(wallet.address), "latest"), 16
        )
        for number in range(count):
            call = token.mint_call(wallet.address, number + 1)
            await rpc.request(
                "eth_sendTransaction",
                {
                    "from": _hex(wallet.address),
                    "to": _hex(call.to),
                    "data": _hex(call.data),
                    "nonce": hex(nonce + number),
                    "gas": hex(100_000),
                },
            )
        await rpc.request("evm_mine")
    finally:
        await rpc.request("evm_setAutomine", True)
    block = await rpc.request("eth_getBlockByNumber", "latest", False)
    assert len(block["transactions"]) == count
    prover = LogProver(world.chain)
    for number, text in enumerate(block["transactions"]):
        proof = await prover.prove(_octets(block["hash"]), _octets(text), lambda _: True)
        header, log = proof.verify()
        assert header.hash == keccak(proof.header) == _octets(block["hash"])
        assert int.from_bytes(log.data, "big") == number + 1
    with pytest.raises(NotFound):
        await prover.prove(_octets(block["hash"]), bytes(32), lambda _: True)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
