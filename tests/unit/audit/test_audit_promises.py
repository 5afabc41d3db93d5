"""Lies that show only beside what others hold: receipts, other people's checkpoints, old facts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripts.chainless.facts import LOG_DOMAIN, RECEIPT_KEY

from adtally.audit.audit import Claim
from adtally.audit.copies_check import SeenCheckpoint
from adtally.audit.receipts_check import GivenReceipt
from adtally.audit.report import AuditReport, Discrepancy
from adtally.events.batch import Envelope
from adtally.events.eip712 import Receipt, receipt_digest
from adtally.events.facts import ChainFacts
from adtally.events.record import clear_verdict
from adtally.events.signature import sign
from adtally.rfc9162 import tree_root
from adtally.types import Checkpoint
from adtally.verification.facts_lag import Judged, JudgedTrace
from adtally.verification.rule_set import RuleSet
from support.audit_scene import MEMBERSHIP, Scene, SceneBuilder, block_hash, honest_scene
from support.world import ALICE, BOB, World, encoded_log, key_of


@pytest.fixture
def scene() -> Scene:
    return honest_scene()


def found(report: AuditReport, check: str) -> list[Discrepancy]:
    assert not report.ok
    return [each for each in report.discrepancies if each.check == check]


# Receipts --------------------------------------------------------------------------------------


def receipt_of(scene: Scene, number: int = 0, **changes: object) -> Receipt:
    """What the operator promised for a batch of the scene."""
    served = scene.log.served
    first = [at for at, entry in enumerate(served) if entry[0] == 0x02][number]
    envelope = Envelope.from_entry(served[first])
    end = first + 1 + envelope.count
    honest = Receipt(
        envelope.member,
        envelope.sequence,
        tree_root([clear_verdict(record) for record in served[first + 1 : end]]),
        first,
        envelope.count,
        end,
        scene.root(end),
        scene.chain.time(53),
    )
    return replace(honest, **changes)  # type: ignore[arg-type]


def given(receipt: Receipt, key: bytes = RECEIPT_KEY) -> GivenReceipt:
    return GivenReceipt("mine.json", receipt, sign(receipt_digest(LOG_DOMAIN, receipt), key))


@pytest.mark.asyncio
async def test_receipts__kept__agree(scene: Scene) -> None:
    receipts = (given(receipt_of(scene)), given(receipt_of(scene, 1)))
    report = await scene.audit(receipts=receipts)
    assert report.ok, report.discrepancies
    (check,) = [each for each in report.checks if each.name == "receipts"]
    assert check.how_many == 2 * 6


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"root_hash": b"\x21" * 32}, "root hash at tree size"),
        ({"tree_size": 10**6}, "the log is shorter than was promised"),
        ({"records_root": b"\x22" * 32}, "records at entries"),
        ({"first_index": 6}, "entry 6 is no envelope"),
        ({"sequence": 9}, "sequence of the batch"),
        ({"member": BOB}, "member of the batch"),
        ({"anchor_deadline_seconds": 1}, "not anchored in time"),
    ],
)
async def test_receipts__promise_that_the_log_does_not_keep__named(
    scene: Scene, changes: dict[str, object], what: str
) -> None:
    report = await scene.audit(receipts=(given(receipt_of(scene, **changes)),))
    lies = found(report, "receipts")
    assert what in lies[0].what
    assert "mine.json" in lies[0].where


@pytest.mark.asyncio
async def test_receipts__not_by_the_operator__named(scene: Scene) -> None:
    (lie,) = found(
        await scene.audit(receipts=(given(receipt_of(scene), key_of(ALICE)),)), "receipts"
    )
    assert "not the operator's" in lie.what


@pytest.mark.asyncio
async def test_receipts__batch_dropped_and_everything_sealed_again__named(scene: Scene) -> None:
    receipt = given(receipt_of(scene, 1))
    first = receipt.receipt.first_index
    count = receipt.receipt.count
    del scene.log.served[first : first + 1 + count]
    scene.anchors = {block: size - 1 - count for block, size in scene.anchors.items()}
    scene.sign()
    scene.anchor_again()
    assert found(await scene.audit(receipts=(receipt,)), "receipts")


@pytest.mark.asyncio
async def test_receipts__deadline_not_over__nothing_to_say(scene: Scene) -> None:
    scene.chain.take_back(80)
    scene.chain.take_back(53)
    later = given(receipt_of(scene, anchor_deadline_seconds=scene.chain.time(90)))
    report = await scene.audit(receipts=(later,))
    assert not [each for each in report.discrepancies if each.check == "receipts"]


# What others saw -------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_copies__prefix_of_the_log__agrees(scene: Scene) -> None:
    seen = tuple(
        SeenCheckpoint("B", Checkpoint(size, scene.root(size)))
        for size in (0, 8, len(scene.log.served))
    )
    assert (await scene.audit(copies=seen)).ok


@pytest.mark.asyncio
async def test_copies__attestor_saw_a_longer_log__this_audit_was_served_a_stale_one(
    scene: Scene,
) -> None:
    seen = SeenCheckpoint("https://attestor", Checkpoint(len(scene.log.served) + 5, bytes(32)))
    (lie,) = found(await scene.audit(copies=(seen,)), "copies")
    assert "stale checkpoint" in lie.what
    assert lie.where == "as seen by https://attestor"


@pytest.mark.asyncio
async def test_copies__attestor_saw_another_log__forked(scene: Scene) -> None:
    seen = SeenCheckpoint("https://attestor", Checkpoint(12, b"\x23" * 32))
    (lie,) = found(await scene.audit(copies=(seen,)), "copies")
    assert (lie.what, lie.found) == ("root hash at tree size 12", "0x" + "23" * 32)


# Deployment ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_deployment__document_that_the_chain_contradicts__named(scene: Scene) -> None:
    claim = Claim("code hash", "event_log", b"\x01", b"\x02")
    (lie,) = found(await scene.audit(claims=(claim,)), "deployment")
    assert (lie.what, lie.where) == ("code hash", "event_log")


# Stale facts -----------------------------------------------------------------------------------


def scene_with_late_facts(lag_seconds: int) -> Scene:
    """Alice's roles change in block 45; a batch at 12:00 is judged before that is in the log."""
    builder = SceneBuilder(World(rules=RuleSet(max_facts_lag_seconds=lag_seconds)))
    scene, world = builder.scene, builder.world
    change = encoded_log("RolesChanged", [BOB], [2], 45, 0)
    scene.chain.add(45, MEMBERSHIP, change.topics, change.data)
    builder.traffic(ALICE, 5)
    end = scene.chain.time(60)
    builder.facts(ChainFacts(world.now_ms, 41, 60, block_hash(60), end, (change,)))
    builder.traffic(ALICE, 2)
    scene.chain.last = 60
    scene.chain.balance = world.funding
    scene.sign()
    return scene


@pytest.mark.asyncio
async def test_facts_lag__batch_judged_by_old_facts__named_with_its_entry() -> None:
    # Block 45 is five hours after the flight's start, the batch twelve.
    scene = scene_with_late_facts(7 * 3_600 - 1)
    (lie,) = found(await scene.audit(), "facts_lag")
    assert lie.where == "entry 5, without the facts of block 45"
    assert lie.found == f"still missing after {7 * 3_600} s"


@pytest.mark.asyncio
async def test_facts_lag__within_the_lag__agrees() -> None:
    report = await scene_with_late_facts(7 * 3_600).audit()
    assert report.ok, report.discrepancies


@pytest.mark.asyncio
async def test_facts_lag__facts_withheld_to_the_end__named() -> None:
    scene = scene_with_late_facts(60)
    cut = next(at for at, entry in enumerate(scene.log.served) if at > 2 and entry[0] == 0x03)
    del scene.log.served[cut:]
    scene.sign()
    assert found(await scene.audit(), "facts_lag")[0].where.endswith("block 45")


def test_trace__stretches__end_at_facts_and_rules() -> None:
    scene = scene_with_late_facts(60)
    trace = JudgedTrace()
    trace.add((at, entry) for at, entry in enumerate(scene.log.served) if entry[0] != 1)
    noon = World().now_ms
    assert [(each.through_block, each.at_ms, each.max_lag_seconds) for each in trace.stretches] == [
        (40, noon, 60),
        (60, noon + 1_000, 60),
    ]
    again = JudgedTrace()
    again.load(trace.stretches, [])
    assert again.stretches == trace.stretches
    assert not Judged(1, 0, 61_000, 60).is_late_for(1)
    assert Judged(1, 0, 61_001, 60).is_late_for(1)
