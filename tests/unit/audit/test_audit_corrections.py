"""Corrections as an auditor checks them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adtally.audit.report import AuditReport
from adtally.events.correction import Correction
from support.audit_scene import Scene, corrected_scene
from support.world import CAMPAIGN


@pytest.fixture
def scene() -> Scene:
    return corrected_scene()


def found(report: AuditReport) -> set[str]:
    assert not report.ok
    return {each.check for each in report.discrepancies}


async def audit_with(scene: Scene, at: int, **changes: Any) -> AuditReport:
    """The audit of a log in which a correction is another, and attestors who went along."""
    good = Correction.from_entry(scene.log.served[at])
    scene.log.served[at] = replace(good, **changes).to_entry()
    scene.sign()
    scene.anchor_again()
    return await scene.audit()


@pytest.mark.asyncio
async def test_audit__corrected__everything_agrees_and_is_counted(scene: Scene) -> None:
    report = await scene.audit()
    assert report.ok, report.discrepancies
    assert report.figures.corrections == 3
    assert next(each for each in report.checks if each.name == "corrections").how_many == 3
    first, final = (statement for statement, _ in scene.stated)
    assert (first.corrections, final.corrections) == (0, 3)
    assert final.lines_total_base_units < first.lines_total_base_units
    (campaign,) = report.figures.campaigns
    assert campaign.paid_base_units == campaign.lines_total_base_units
    assert campaign.lines_total_base_units == campaign.accrued_base_units
    assert campaign.held_base_units == 0


@pytest.mark.asyncio
async def test_audit__correction_left_out__the_statement_is_not_what_the_log_gives(
    scene: Scene,
) -> None:
    del scene.log.served[-2]
    scene.log.served.append(scene.log.served[-1])
    scene.sign()
    scene.anchor_again()
    assert "statements" in found(await scene.audit())


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "changes",
    [
        {"change": 1},
        {"index": 4},
        {"index": 10**9},
        {"recorded_at_ms": 2**48 - 1},
    ],
)
async def test_audit__correction_that_can_not_stand__is_found_in_the_replay(
    scene: Scene, changes: dict[str, Any]
) -> None:
    assert "replay" in found(await audit_with(scene, -4, **changes))


@pytest.mark.asyncio
async def test_audit__corrected_twice__is_found_in_the_replay(scene: Scene) -> None:
    scene.log.served[-3] = scene.log.served[-4]
    scene.sign()
    scene.anchor_again()
    report = await scene.audit()
    assert "replay" in found(report)
    assert any("stands already" in each.what for each in report.discrepancies)


@pytest.mark.asyncio
async def test_audit__other_bytes_than_anchored__is_found(scene: Scene) -> None:
    good = Correction.from_entry(scene.log.served[-4])
    scene.log.served[-4] = replace(good, detail="report 8").to_entry()
    assert "anchors" in found(await scene.audit())


@pytest.mark.asyncio
@pytest.mark.parametrize(("corrections", "factor"), [(2, 1), (3, 2)])
async def test_audit__statement_with_fewer_corrections_or_below_the_floor__is_found(
    scene: Scene, corrections: int, factor: int
) -> None:
    statement, _ = scene.stated[-1]
    scene.chain.take_back(75)
    total = statement.lines_total_base_units // factor
    scene.submit(75, replace(statement, corrections=corrections, lines_total_base_units=total))
    report = await scene.audit()
    assert "statements" in found(report)
    falls = {each.what for each in report.discrepancies if each.what.endswith("falls")}
    assert falls == ({"lines total falls"} if factor > 1 else set())
    assert {each.where.split()[1] for each in report.discrepancies} >= {str(CAMPAIGN)}
