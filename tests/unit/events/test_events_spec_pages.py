"""Lists in the specification that no vector covers, against code and contracts."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import pytest
from events_spec import ROOT, SPEC, tables, unhex, vectors

from adtally.api.transport import BINARY_TYPE, JSON_TYPE, NDJSON_TYPE, parse_batch
from adtally.chain.deployment import DeployedContract, DeployedToken, Deployment
from adtally.events import eip712
from adtally.events.batch import batch_from_wire
from adtally.verification.chain_logs import WATCHED_EVENTS
from adtally.verification.rule_set import RuleSet

CONTRACTS = ROOT / "contracts"


def test_watched_events__named_on_the_page__are_those_decoded() -> None:
    page = " ".join((SPEC / "facts.md").read_text().split())
    sentence = re.search(r"Only logs of these events are facts;(.*?)CampaignEscrow\.", page)
    assert sentence
    named = set(re.findall(r"`(\w+)`", sentence[1]))
    assert named == {event.name for event in WATCHED_EVENTS}


def test_rules__table__has_every_field_with_its_default() -> None:
    (table,) = [table for table in tables("facts.md") if table[0][:2] == ["field", "default"]]
    documented = {row[0]: json.loads(row[1].replace(",", "")) for row in table[1:]}
    assert documented == json.loads(RuleSet().to_json())
    assert set(documented) == set(asdict(RuleSet()))


def test_deployment__table__has_every_field() -> None:
    contract = DeployedContract(bytes(20), bytes(32))
    deployment = Deployment(
        1, bytes(32), 0, contract, contract, contract, contract, 1, 1, 2, (bytes(20),), bytes(20),
        operator_bond=contract, tokens={"USDX": DeployedToken(bytes(20), 6)},
    )  # fmt: skip
    documented = [row[0] for row in tables("deployment.md")[0][1:]]
    found = deployment.to_json()
    assert documented == list(found)
    page = (SPEC / "deployment.md").read_text()
    nested = [*found["contracts"], *found["tokens"]["USDX"], *found["finality"]]
    assert [name for name in nested if name not in page] == []


@pytest.mark.parametrize(
    ("source", "type_string", "domain"),
    [
        ("EventLog.sol", eip712.CHECKPOINT_TYPE, None),
        ("libraries/StatementHash.sol", eip712.STATEMENT_TYPE, None),
        ("CampaignEscrow.sol", None, eip712.ESCROW_DOMAIN_NAME),
        ("EventLog.sol", None, eip712.LOG_DOMAIN_NAME),
        ("AttestorSets.sol", eip712.SUCCESSOR_TYPE, None),
        ("OperatorBond.sol", eip712.RECEIPT_TYPE, None),
    ],
)
def test_contracts__type_strings_and_domains__are_the_same(
    source: str, type_string: str | None, domain: str | None
) -> None:
    # Adjacent literals are one string in Solidity too.
    text = re.sub(r'"\s+"', "", (CONTRACTS / source).read_text())
    if type_string is not None:
        assert f'"{type_string}"' in text
    if domain is not None:
        assert f'EIP712("{domain}", "{eip712.DOMAIN_VERSION}")' in text


def test_transports__of_the_vector__are_one_batch() -> None:
    vector = vectors("batches.json")
    wire = batch_from_wire(unhex(vector["wire"]))
    assert parse_batch(BINARY_TYPE, unhex(vector["wire"])) == wire
    assert parse_batch(JSON_TYPE, json.dumps(vector["json"]).encode()) == wire
    assert parse_batch(NDJSON_TYPE, vector["ndjson"].encode()) == wire
    assert parse_batch(NDJSON_TYPE, vector["ndjson"].rstrip("\n").encode()) == wire
