"""Digests, domains, leaves and claim trees: the contracts' equal Python's and the standards'."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode
from eth_account.messages import _hash_eip191_message, encode_typed_data
from eth_utils import keccak, to_checksum_address
from evm_contracts import CHAIN_ID, DEPLOYER, bytecode, call, deploy, new_evm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyrevm import EVM

from adtally.events.eip712 import (
    CHECKPOINT_TYPE,
    ESCROW_DOMAIN_NAME,
    LOG_DOMAIN_NAME,
    STATEMENT_TYPE,
    SUCCESSOR_TYPE,
    checkpoint_digest,
    escrow_domain,
    log_domain,
    statement_digest,
)
from adtally.events.signature import address_of, sign
from adtally.settlement.claim_tree import ClaimTree, line_leaf
from adtally.types import (
    UINT32_MAX,
    UINT64_MAX,
    UINT128_MAX,
    Checkpoint,
    Counts,
    Line,
    LogIdentity,
    Statement,
)

STATEMENT_TUPLE = "(uint32,uint32,uint64,uint128,(uint64,uint64,uint64,uint64),uint64,bytes32,bool)"
COUNTS_TUPLE = "(uint64,uint64,uint64,uint64)"
ATTESTORS = {address_of(bytes([n]) * 32): bytes([n]) * 32 for n in (1, 2, 3)}
VECTORS = Path(__file__).parent / "vectors" / "openzeppelin_claim_trees.json"

uint32s = st.integers(0, UINT32_MAX)
uint64s = st.integers(0, UINT64_MAX)
hashes = st.binary(min_size=32, max_size=32)
counts_of = st.builds(Counts, uint64s, uint64s, uint64s, uint64s)
statements = st.builds(
    Statement,
    uint32s,
    uint32s,
    uint64s,
    st.integers(0, UINT128_MAX),
    counts_of,
    uint64s,
    hashes,
    st.booleans(),
)
# One deployment serves every example: all calls are views.
examples = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@dataclass(frozen=True)
class Deployed:
    evm: EVM
    event_log: str
    escrow: str

    def ask(self, contract: str, signature: str, *arguments: object, returns: str) -> Any:
        return call(self.evm, contract, signature, arguments, (returns,))[0]


@pytest.fixture(scope="module")
def deployed() -> Deployed:
    evm = new_evm()
    authority = deploy(evm, bytecode("AccessManager"), ("address",), DEPLOYER)
    membership = deploy(evm, bytecode("Membership"), ("address",), authority)
    call(
        evm,
        membership,
        "register(address,uint8,bytes32,uint64,address,address)",
        (DEPLOYER, 16, bytes(32), UINT64_MAX, DEPLOYER, DEPLOYER),
    )
    event_log = deploy(
        evm,
        bytecode("EventLog"),
        ("address", "uint32", "address[]", "uint8", "(uint64,bytes32)"),
        membership,
        1,
        sorted(ATTESTORS),
        2,
        (0, bytes(32)),
    )
    escrow = deploy(
        evm,
        bytecode("CampaignEscrow"),
        ("address", "address", "uint32"),
        authority,
        event_log,
        1,
    )
    return Deployed(evm, event_log, escrow)


def raw(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))


def typed_data_digest(name: str, contract: str, type_string: str, message: dict[str, Any]) -> bytes:
    """What eth-account signs, from the type string alone."""
    primary, fields = type_string[:-1].split("(")
    members = [
        dict(zip(("type", "name"), field.split(), strict=True)) for field in fields.split(",")
    ]
    signable = encode_typed_data(
        domain_data={
            "name": name,
            "version": "1",
            "chainId": CHAIN_ID,
            "verifyingContract": to_checksum_address(contract),
        },
        message_types={primary: members},
        message_data=message,
    )
    return bytes(_hash_eip191_message(signable))


# ------------------------------------------------------------------ domains and digests


def test_domains__of_the_deployed_contracts__equal_pythons(deployed: Deployed) -> None:
    log = LogIdentity(CHAIN_ID, raw(deployed.event_log))
    found = deployed.ask(deployed.event_log, "DOMAIN_SEPARATOR()", returns="bytes32")
    assert found == log_domain(log)
    found = deployed.ask(deployed.escrow, "DOMAIN_SEPARATOR()", returns="bytes32")
    assert found == escrow_domain(CHAIN_ID, raw(deployed.escrow))


@examples
@given(uint64s, hashes)
def test_checkpoint_digest__any_checkpoint__is_the_same_three_ways(
    deployed: Deployed, tree_size: int, root_hash: bytes
) -> None:
    domain = log_domain(LogIdentity(CHAIN_ID, raw(deployed.event_log)))
    expected = checkpoint_digest(domain, Checkpoint(tree_size, root_hash))
    assert expected == deployed.ask(
        deployed.event_log,
        "checkpointDigest((uint64,bytes32))",
        (tree_size, root_hash),
        returns="bytes32",
    )
    message = {"treeSize": tree_size, "rootHash": root_hash}
    assert expected == typed_data_digest(
        LOG_DOMAIN_NAME, deployed.event_log, CHECKPOINT_TYPE, message
    )


@examples
@given(statements)
def test_statement_digest__any_statement__is_the_same_three_ways(
    deployed: Deployed, statement: Statement
) -> None:
    expected = statement_digest(escrow_domain(CHAIN_ID, raw(deployed.escrow)), statement)
    assert expected == deployed.ask(
        deployed.escrow,
        f"statementDigest({STATEMENT_TUPLE})",
        _statement_tuple(statement),
        returns="bytes32",
    )
    counts = statement.counts
    message = {
        "campaign": statement.campaign,
        "sequence": statement.sequence,
        "treeSize": statement.tree_size,
        "linesTotal": statement.lines_total_base_units,
        "impressions": counts.impressions,
        "viewables": counts.viewables,
        "clicks": counts.clicks,
        "conversions": counts.conversions,
        "corrections": statement.corrections,
        "linesRoot": statement.lines_root,
        "isFinal": statement.is_final,
    }
    assert expected == typed_data_digest(
        ESCROW_DOMAIN_NAME, deployed.escrow, STATEMENT_TYPE, message
    )


@examples
@given(uint32s, uint32s, st.integers(0, 255), st.lists(st.binary(min_size=20, max_size=20)))
def test_successor_digest__any_set__equals_eth_accounts(
    deployed: Deployed, set_id: int, version: int, threshold: int, attestors: list[bytes]
) -> None:
    found = deployed.ask(
        deployed.event_log,
        "successorDigest(uint32,uint32,address[],uint8)",
        set_id,
        version,
        attestors,
        threshold,
        returns="bytes32",
    )
    message = {
        "set": set_id,
        "version": version,
        "threshold": threshold,
        "attestorsHash": keccak(encode(("address[]",), (attestors,))),
    }
    assert found == typed_data_digest(LOG_DOMAIN_NAME, deployed.event_log, SUCCESSOR_TYPE, message)


@examples
@given(hashes, st.sets(st.sampled_from(sorted(ATTESTORS)), min_size=1))
def test_quorum__signed_by_python__counts_from_the_threshold_on(
    deployed: Deployed, digest: bytes, signers: set[bytes]
) -> None:
    signatures = b"".join(sign(digest, ATTESTORS[signer]) for signer in sorted(signers))
    quorum = (2, sorted(ATTESTORS), signatures)
    question = "requireQuorum(uint32,bytes32,(uint8,address[],bytes))"
    if len(signers) >= 2:
        call(deployed.evm, deployed.event_log, question, (1, digest, quorum))
    else:
        with pytest.raises(RuntimeError, match="Revert"):
            call(deployed.evm, deployed.event_log, question, (1, digest, quorum))


# ------------------------------------------------------------------ claim trees


@examples
@given(uint32s, uint32s, counts_of)
def test_line_leaf__any_line__equals_pythons(
    deployed: Deployed, campaign: int, publisher: int, counts: Counts
) -> None:
    domain = escrow_domain(CHAIN_ID, raw(deployed.escrow))
    assert line_leaf(domain, campaign, publisher, counts) == deployed.ask(
        deployed.escrow,
        f"lineLeaf(uint32,uint32,{COUNTS_TUPLE})",
        campaign,
        publisher,
        _counts_tuple(counts),
        returns="bytes32",
    )


def test_claim_tree__openzeppelin_standard_trees__same_leaves_roots_and_proofs() -> None:
    vectors = json.loads(VECTORS.read_text())
    domain = bytes.fromhex(vectors["domain"][2:])
    for tree in vectors["trees"]:
        lines = [
            Line(
                line["publisher"],
                Counts(line["impressions"], line["viewables"], line["clicks"], line["conversions"]),
                0,
            )
            for line in tree["lines"]
        ]
        built = ClaimTree(domain, vectors["campaign"], lines)
        assert "0x" + built.root.hex() == tree["root"]
        for line, leaf, proof in zip(lines, tree["leaves"], tree["proofs"], strict=True):
            found = line_leaf(domain, vectors["campaign"], line.publisher, line.counts)
            assert "0x" + found.hex() == leaf
            assert ["0x" + node.hex() for node in built.proof(line.publisher)] == proof


def _counts_tuple(counts: Counts) -> tuple[int, int, int, int]:
    return counts.impressions, counts.viewables, counts.clicks, counts.conversions


def _statement_tuple(statement: Statement) -> tuple[object, ...]:
    return (
        statement.campaign,
        statement.sequence,
        statement.tree_size,
        statement.lines_total_base_units,
        _counts_tuple(statement.counts),
        statement.corrections,
        statement.lines_root,
        statement.is_final,
    )
