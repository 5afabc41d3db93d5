"""Holdback and objections as an auditor checks them."""

from __future__ import annotations

from typing import Any

import pytest

from adtally.audit.objections_check import BURN
from adtally.audit.report import AuditReport
from support.audit_scene import Scene, objected_scene, payout_of
from support.world import ADVERTISER, ALICE, BOND, CAMPAIGN


@pytest.fixture
def scene() -> Scene:
    return objected_scene()


def wrong(report: AuditReport, check: str) -> list[str]:
    """What the check found; nothing else may have found anything."""
    assert {each.check for each in report.discrepancies} == {check}, report.discrepancies
    return [each.what for each in report.discrepancies]


def emit_instead(scene: Scene, block: int, name: str, indexed: list[Any], data: list[Any]) -> None:
    scene.chain.take_back(block)
    scene.chain.emit(block, name, indexed, data)


@pytest.mark.asyncio
async def test_audit__objected_in_vain_and_held_back__everything_agrees(scene: Scene) -> None:
    report = await scene.audit()
    assert report.ok, report.discrepancies
    (campaign,) = report.figures.campaigns
    assert campaign.is_final
    assert campaign.paid_base_units == campaign.lines_total_base_units
    assert (campaign.held_base_units, campaign.bond_base_units) == (0, 0)
    assert (report.figures.objections, report.figures.statements) == (1, 3)
    assert next(each for each in report.checks if each.name == "objections").how_many == 7


@pytest.mark.asyncio
async def test_audit__bond_not_released__must_be_in_the_escrow(scene: Scene) -> None:
    scene.chain.take_back(81)
    assert wrong(await scene.audit(), "balances")
    scene.chain.balance = BOND
    report = await scene.audit()
    assert report.ok
    assert report.figures.campaigns[0].bond_base_units == BOND


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("to", "amount", "what"),
    [
        (payout_of(ADVERTISER), BOND, ["payee of the bond"]),
        (BURN, BOND + 1, ["released bond"]),
    ],
)
async def test_audit__bond_released_wrongly__found(
    scene: Scene, to: bytes, amount: int, what: list[str]
) -> None:
    emit_instead(scene, 81, "ObjectionBondReleased", [CAMPAIGN], [to, amount])
    assert wrong(await scene.audit(), "objections") == what


@pytest.mark.asyncio
async def test_audit__bond_released_before_a_decision__found(scene: Scene) -> None:
    scene.chain.take_back(81)
    scene.chain.emit(76, "ObjectionBondReleased", [CAMPAIGN], [payout_of(ADVERTISER), BOND])
    assert "bond released too early" in wrong(await scene.audit(), "objections")


@pytest.mark.asyncio
async def test_audit__decision_against_the_statements__found(scene: Scene) -> None:
    logs = scene.chain.take_back(78)
    scene.chain.emit(78, "ObjectionDecided", [CAMPAIGN, 2], [True])
    scene.chain.add(78, logs[1].address, logs[1].topics, logs[1].data)
    emit_instead(scene, 81, "ObjectionBondReleased", [CAMPAIGN], [payout_of(ADVERTISER), BOND])
    assert wrong(await scene.audit(), "objections") == ["objection upheld"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("sequence", "bond", "windows", "what"),
    [
        (1, BOND, 2, "objected statement"),
        (2, BOND - 1, 2, "bond"),
        (2, BOND, 3, "activation time"),
    ],
)
async def test_audit__objection_unlike_the_terms__found(
    scene: Scene, sequence: int, bond: int, windows: int, what: str
) -> None:
    statement, _ = scene.stated[1]
    scene.chain.take_back(75)
    scene.submit(75, statement)
    until = scene.chain.time(75) + windows * 3_600
    scene.chain.emit(75, "ObjectionRaised", [CAMPAIGN, sequence], [bond, until, "no"])
    report = await scene.audit()
    assert what in [each.what for each in report.discrepancies if each.check == "objections"]


@pytest.mark.asyncio
async def test_audit__statement_after_a_final_one_without_objection__found(scene: Scene) -> None:
    statement, _ = scene.stated[1]
    scene.chain.take_back(75)
    scene.submit(75, statement)
    report = await scene.audit()
    expected = [each.expected for each in report.discrepancies if each.check == "statements"]
    assert expected == ["no statement after the final one"]


@pytest.mark.asyncio
async def test_audit__whole_line_paid_before_the_close__found(scene: Scene) -> None:
    lines = {line.publisher: line for line in scene.stated[0][1]}
    scene.chain.take_back(55)
    scene.claim(55, lines[ALICE], 0)
    scene.chain.take_back(56)
    report = await scene.audit()
    what = [each.what for each in report.discrepancies if each.where.endswith("(block 55)")]
    assert what == ["amount", "paid total"]
