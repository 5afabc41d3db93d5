"""Three attestor processes: some down, lied to, and finishing when the operator dies."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adtally.attestation.documents import parse_statement
from adtally.chain.contracts.token import Token
from adtally.demo.stage import attestor_key
from adtally.events.eip712 import statement_digest
from adtally.events.signature import address_of
from support.attestor_stage import LiveDeployment, live_deployment, require_code

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.chain]

WRONG_UNITS = 1


def newest_anchor(live: LiveDeployment) -> int:
    return int(live.operator("/status")["anchored_tree_size"])


async def lie_about_the_next_statement(live: LiveDeployment) -> int:
    """With every attestor down: one base unit more in a drafted statement; the request's number."""

    def drafted() -> Any:
        rows = live.control(
            "select id, campaign, sequence from attestation_requests where kind = 'statement' "
            "and id not in (select request_id from attestations) order by id limit 1"
        )
        return rows[0] if rows else None

    request, campaign, sequence = await live.until("a drafted statement", drafted)
    place = "where campaign = ? and sequence = ?"
    ((total,),) = live.control(
        f"select lines_total_base_units from statements {place}", campaign, sequence
    )
    wrong_total = str(int(total) + WRONG_UNITS).zfill(len(total))
    live.control(
        f"update statements set lines_total_base_units = ? {place}",
        wrong_total,
        campaign,
        sequence,
    )
    wrong = parse_statement(live.operator(f"/campaigns/{campaign}/statements/{sequence}"))
    digest = statement_digest(live.stage.deployment.escrow_domain, wrong)
    live.control("update attestation_requests set digest = ? where id = ?", digest, request)
    return int(request)


@pytest.mark.asyncio
async def test_attestors__one_down_two_down_and_lied_to__settle_wait_resume_refuse(
    tmp_path: Path,
) -> None:
    async with live_deployment(tmp_path) as live:
        attestors = live.stage.attestors
        # One of three down: settlement goes on.
        attestors["C"].kill()
        await live.send_steps(8)
        await live.until("statements settled", lambda: live.settled() >= 1 or None)
        settled = live.settled()

        # Two down: nothing settles, and everybody can see who is missing.
        attestors["B"].kill()
        await live.send_steps(4)
        missing = {f"0x{address_of(attestor_key(name)).hex()}" for name in ("B", "C")}

        def waits_for_both() -> int | None:
            for each in live.operator("/attestations"):
                lacks = {m["attestor"] for m in each["missing"]}
                if each["kind"] == "checkpoint" and not each["is_complete"] and lacks == missing:
                    return int(each["tree_size"])
            return None

        waiting = await live.until("a request that lacks both", waits_for_both)
        await asyncio.sleep(1.5)
        assert newest_anchor(live) < waiting
        settled = live.settled()

        # One comes back: it resumes by itself, from its own store.
        attestors["B"].start()
        size = live.operator("/status")["tree_size"]
        await live.until(
            "the anchor of what waited", lambda: newest_anchor(live) >= waiting or None
        )
        await live.until("more settled", lambda: live.settled() > settled or None)
        starts = [
            line
            for line in attestors["B"].log_path.read_text().splitlines()
            if "entries stored" in line
        ]
        assert len(starts) == 2
        stored = int(starts[1].split("process: ")[1].split()[0])
        assert 0 < stored < size, "it went on from its own store"

        # A wrong statement: three signed refusals, not one signature.
        await live.until_stored(["A", "B"])
        for name in ("A", "B"):
            attestors[name].kill()
        await live.send_steps(6)
        request = await lie_about_the_next_statement(live)
        for process in attestors.values():
            process.start()

        def all_refused() -> Any:
            state = live.operator(f"/attestations/{request}")
            return state if len(state["refused"]) == 3 else None

        state = await live.until("three refusals", all_refused)
        assert state["signed"] == state["missing"] == []
        for answer in state["refused"]:
            refusal = answer["refusal"]
            assert refusal["check"] == "lines_total_base_units"
            assert int(refusal["found"]) == int(refusal["expected"]) + WRONG_UNITS
        published = live.attestor("A", "/attestations/refusals")
        assert published[-1]["digest"] == state["digest"]


@pytest.mark.asyncio
async def test_finish__operator_killed_for_good__every_earned_unit_is_paid_and_the_rest_refunded(
    tmp_path: Path,
) -> None:
    async with live_deployment(tmp_path, seed=6, gone_after_seconds=3.0) as live:
        stage, escrow = live.stage, live.cast.advertiser.escrow
        await live.send_steps(6)
        await live.until("a settled statement", lambda: live.settled() >= 1 or None)
        # Traffic that no statement has, and perhaps one that is signed and never submitted.
        await live.send_steps(12)
        await live.until_stored(["A", "B", "C"])
        stage.service.kill()
        stage.attestors["C"].kill()
        owed = {campaign.id: live.earned(campaign) for campaign in live.cast.campaigns}
        assert all(sum(lines.values()) > 0 for lines in owed.values())
        stated = [(await escrow.campaign(each.id)).latest for each in live.cast.campaigns]
        assert any(
            latest.lines_total_base_units < sum(owed[each.id].values())
            for latest, each in zip(stated, live.cast.campaigns, strict=True)
        ), "there is nothing left to finish"

        await asyncio.sleep(3.5)
        _, output = await live.finish(["A", "B"])
        assert "settled" in output, output
        now = (await stage.chain.latest()).timestamp_seconds
        for campaign in live.cast.campaigns:
            now = max(now, (await escrow.campaign(campaign.id)).latest.activates_at_seconds)
        await live.move_chain(now + 1)
        _, output = await live.finish(["A", "B"])
        for campaign in live.cast.campaigns:
            view = await escrow.campaign(campaign.id)
            assert view.latest.lines_total_base_units == sum(owed[campaign.id].values()), output

        # The holdback and the refund come when the campaigns close.
        closes = max(
            [(await escrow.campaign(each.id)).closes_at_seconds for each in live.cast.campaigns]
        )
        await live.move_chain(closes + 1)
        output = require_code(await live.finish(["A", "B"]), 0)
        assert "every earned unit is paid" in output
        for campaign in live.cast.campaigns:
            for publisher, amount in owed[campaign.id].items():
                assert (await escrow.order(campaign.id, publisher)).paid_base_units == amount
            view = await escrow.campaign(campaign.id)
            assert view.claimed_base_units + view.cuts_paid_base_units == view.reserved_base_units
            await live.cast.advertiser.refund(campaign.id)
            coin = Token(stage.chain, campaign.token.address)
            view = await escrow.campaign(campaign.id)
            assert view.funded_base_units == (
                view.claimed_base_units + view.cuts_paid_base_units + view.refunded_base_units
            )
        assert await coin.balance_of(escrow.address) == 0
        # An auditor takes an attestor in the operator's place.
        service = stage.attestor_urls["A"]
        output = require_code(await live.command("audit", "--service", service), 0)
        assert "everything agrees" in output
        # Again, with an attestor's folder alone: nothing to do, nothing paid twice.
        stage.attestors["B"].kill()
        assert "every earned unit is paid" in require_code(await live.finish(["A"], own="B"), 0)
