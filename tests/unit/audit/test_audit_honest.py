"""The audit of an honest deployment finds nothing, and counts what it looked at."""

from __future__ import annotations

import json

import pytest

from adtally.audit.audit import CHECKS, run_audit
from adtally.audit.deployment import AuditDeployment
from adtally.audit.report import AuditReport
from adtally.errors import ChainUnavailable, ForeignChain, InvalidInput
from adtally.types import BlockStamp, Cut
from support.audit_scene import PaperChain, Scene, deployment, honest_scene
from support.world import AGENCY, ALICE, CAMPAIGN, TOKEN


@pytest.fixture
def scene() -> Scene:
    return honest_scene()


def problems(report: AuditReport) -> str:
    return "\n".join(str(each) for each in report.discrepancies)


@pytest.mark.asyncio
async def test_audit__honest__finds_nothing_and_counts_everything(scene: Scene) -> None:
    report = await scene.audit()
    assert report.ok, problems(report)
    assert report.discrepancies == ()
    assert [check.name for check in report.checks] == list(CHECKS)
    counts = {check.name: check.how_many for check in report.checks}
    unused = {name for name, count in counts.items() if not count}
    # Nothing was brought along, and no audit went before.
    brought = {"deployment", "history", "published", "copies", "receipts"}
    assert unused == {"corrections", "objections"} | brought
    size = len(scene.log.served)
    assert (counts["entries"], counts["replay"], counts["facts"]) == (size, size, 4)
    figures = report.figures
    assert (figures.tree_size, figures.root_hash) == (size, "0x" + scene.root(size).hex())
    assert (figures.anchors, figures.statements, figures.refunds) == (2, 2, 1)
    assert (figures.claims, figures.cuts) == (4, 4)
    assert figures.facts_through_block == 60
    assert figures.verdicts == {
        "accepted": 5 + 3 + 4 + 3,
        "duplicate": 3,
        "placement_not_allowed": 3,
    }
    assert figures.records == 21


@pytest.mark.asyncio
async def test_audit__honest__books_balance_to_the_unit(scene: Scene) -> None:
    report = await scene.audit()
    (campaign,) = report.figures.campaigns
    assert campaign.campaign == CAMPAIGN
    assert campaign.is_final
    assert (
        campaign.lines_total_base_units == campaign.accrued_base_units == campaign.paid_base_units
    )
    assert campaign.funded_base_units == 10**12
    spent = campaign.paid_base_units + campaign.cuts_base_units + campaign.refunded_base_units
    assert campaign.funded_base_units == spent
    assert campaign.held_base_units == 0
    (token,) = report.figures.tokens
    assert token.token == "0x" + TOKEN.hex()
    assert (token.balance_base_units, token.owed_base_units, token.surplus_base_units) == (0, 0, 0)


@pytest.mark.asyncio
async def test_audit__tokens_sent_by_mistake__are_surplus_not_a_lie(scene: Scene) -> None:
    scene.chain.balance = 7
    report = await scene.audit()
    assert report.ok
    assert report.figures.tokens[0].surplus_base_units == 7


@pytest.mark.asyncio
@pytest.mark.parametrize("page", [1, 7])
async def test_audit__served_in_pages__same_report(scene: Scene, page: int) -> None:
    whole = await scene.audit()
    scene.log.page = page
    assert await scene.audit() == whole


@pytest.mark.asyncio
async def test_audit__claims_not_yet_pushed__still_ok_and_held(scene: Scene) -> None:
    for block in (82, 83, 85):
        scene.chain.take_back(block)
    before = scene.stated[0][0].lines_total_base_units
    report = await scene.audit()
    held = report.figures.campaigns[0].held_base_units
    assert held > 0
    assert not report.ok
    assert {each.check for each in report.discrepancies} == {"balances"}
    scene.chain.balance = held
    report = await scene.audit()
    assert report.ok, problems(report)
    assert report.figures.campaigns[0].paid_base_units == before


@pytest.mark.asyncio
async def test_audit__changed_payout_address__paid_there_once_due(scene: Scene) -> None:
    new = b"\xaa" * 20
    due = scene.chain.time(70)
    scene.chain.emit(62, "PayoutChangeRequested", [ALICE], [new, due])
    gone = scene.chain.take_back(82)
    lines = {line.publisher: line for line in scene.stated[1][1]}
    before = {line.publisher: line.amount_base_units for line in scene.stated[0][1]}
    for publisher, line in lines.items():
        to = new if publisher == ALICE else None
        scene.claim(82, line, before[publisher], to=to)
    assert len(gone) == 2
    report = await scene.audit()
    assert report.ok, problems(report)


@pytest.mark.asyncio
async def test_audit__cancelled_payout_change__does_not_count(scene: Scene) -> None:
    scene.chain.emit(62, "PayoutChangeRequested", [ALICE], [b"\xaa" * 20, scene.chain.time(70)])
    scene.chain.emit(63, "PayoutChangeCancelled", [ALICE], [bytes([ALICE]) * 20])
    report = await scene.audit()
    assert report.ok, problems(report)


@pytest.mark.asyncio
@pytest.mark.parametrize("shares", [(), (500,), (500, 250), (250, 250), (9_000, 1, 999)])
async def test_audit__several_cuts_of_one_member__each_has_its_books(
    shares: tuple[int, ...],
) -> None:
    scene = honest_scene(cuts=tuple(Cut(AGENCY, share) for share in shares))
    report = await scene.audit()
    assert report.ok, problems(report)
    assert report.figures.cuts == 2 * len(shares)


@pytest.mark.asyncio
async def test_audit__report__is_json_with_money_as_text(scene: Scene) -> None:
    document = json.loads(json.dumps((await scene.audit()).to_json()))
    assert document["ok"] is True
    assert document["figures"]["campaigns"][0]["funded_base_units"] == str(10**12)
    assert set(document["checks"][0]) == {"name", "what", "how_many", "ok"}
    assert document["discrepancies"] == []


@pytest.mark.asyncio
async def test_audit__progress__reaches_the_end(scene: Scene) -> None:
    seen: dict[str, tuple[int, int]] = {}

    def progress(step: str, done: int, total: int) -> None:
        assert done <= total
        seen[step] = (done, total)

    await run_audit(scene.log, scene.chain, deployment(), progress)
    assert set(seen) == {"chain", "log", "payments"}
    assert all(done == total for done, total in seen.values())


@pytest.mark.asyncio
async def test_audit__another_chain__refused(scene: Scene) -> None:
    scene.chain.id = 1
    with pytest.raises(ForeignChain):
        await scene.audit()


@pytest.mark.asyncio
async def test_audit__no_final_block__says_to_wait(scene: Scene) -> None:
    class Young(PaperChain):
        async def final(self) -> BlockStamp | None:
            return None

    with pytest.raises(ChainUnavailable):
        await run_audit(scene.log, Young(), deployment())


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"contracts": 5},
        {"contracts": {"event_log": {"address": "0x12"}}},
        {
            "contracts": {
                name: {"address": "0x" + "11" * 20}
                for name in ("membership", "event_log", "campaign_escrow")
            }
        },
    ],
)
def test_deployment__malformed__refused(document: object) -> None:
    with pytest.raises(InvalidInput):
        AuditDeployment.from_json(document)
