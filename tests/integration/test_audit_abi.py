"""The audit's event signatures are those of the compiled contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adtally.audit.chain_events import AUDITED_EVENTS, Contract, EventFormat
from adtally.chain.compile import compile_contracts

ROOT = Path(__file__).resolve().parents[2]
INTERFACES = {
    Contract.MEMBERSHIP: "IMembership",
    Contract.EVENT_LOG: "IEventLog",
    Contract.CAMPAIGN_ESCROW: "ICampaignEscrow",
}


def type_of(parameter: dict[str, Any]) -> str:
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(type_of(each) for each in parameter["components"])
    return f"({inner}){kind.removeprefix('tuple')}"


@pytest.fixture(scope="module")
def abis() -> dict[Contract, list[dict[str, Any]]]:
    artifacts = compile_contracts(ROOT)
    return {contract: artifacts[name].abi for contract, name in INTERFACES.items()}


@pytest.mark.parametrize("form", AUDITED_EVENTS, ids=lambda form: form.name)
def test_chain_events__signature__is_that_of_the_interface(
    abis: dict[Contract, list[dict[str, Any]]], form: EventFormat
) -> None:
    (event,) = [
        each
        for each in abis[form.contract]
        if each["type"] == "event" and each["name"] == form.name
    ]
    indexed = tuple(type_of(each) for each in event["inputs"] if each["indexed"])
    data = tuple(type_of(each) for each in event["inputs"] if not each["indexed"])
    assert (indexed, data) == (form.indexed, form.data)
    assert [each["indexed"] for each in event["inputs"]] == [True] * len(indexed) + [False] * len(
        data
    )


def test_chain_events__every_movement_of_money__is_audited(
    abis: dict[Contract, list[dict[str, Any]]],
) -> None:
    """A new event of the escrow must be audited or be listed here as moving no owed money."""
    moves_nothing_owed = {
        "CampaignOpened",
        "CampaignEnded",
        "OrderOffered",
        "OrderAccepted",
        "OrderEnded",
        "ClaimSkipped",
        "SurplusRecovered",
    }
    names = {each["name"] for each in abis[Contract.CAMPAIGN_ESCROW] if each["type"] == "event"}
    audited = {form.name for form in AUDITED_EVENTS if form.contract is Contract.CAMPAIGN_ESCROW}
    assert names - audited == moves_nothing_owed
