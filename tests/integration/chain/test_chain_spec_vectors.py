"""The compiled contracts pass the vectors of docs/spec: same digests, leaves and proofs.

The vectors are bound to addresses of their own, so the deployed code is put there (the local
node can do that); OpenZeppelin's EIP712 then computes the domain of that address.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from eth_abi import decode, encode
from eth_utils import function_signature_to_4byte_selector

from support.chain_site import PROJECT_ROOT, ChainSite

VECTORS = PROJECT_ROOT / "docs" / "spec" / "vectors"
STATEMENT = "(uint32,uint32,uint64,uint128,(uint64,uint64,uint64,uint64),uint64,bytes32,bool)"
COUNTS = "(uint64,uint64,uint64,uint64)"


def load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def message(name: str) -> dict[str, Any]:
    found = [each for each in load("signatures")["messages"] if each["type"].startswith(name + "(")]
    assert len(found) == 1
    return dict(found[0])


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


async def placed(site: ChainSite, contract: bytes, at: bytes) -> bytes:
    code = await site.chain.code(contract)
    await site.chain.rpc.request("hardhat_setCode", "0x" + at.hex(), "0x" + code.hex())
    return at


async def ask(
    site: ChainSite, to: bytes, function: str, types: list[str], values: list[Any], returns: str
) -> Any:
    data = function_signature_to_4byte_selector(function) + encode(types, values)
    return decode([returns], await site.chain.call(to, data))[0]


@pytest.mark.asyncio
async def test_event_log__checkpoint_vector__same_digest(hardhat_site: ChainSite) -> None:
    vector = message("Checkpoint")
    at = raw(vector["typed_data"]["domain"]["verifyingContract"])
    await placed(hardhat_site, hardhat_site.deployment.event_log.address, at)
    fields = vector["typed_data"]["message"]
    checkpoint = (fields["treeSize"], raw(fields["rootHash"]))
    digest = await ask(
        hardhat_site,
        at,
        "checkpointDigest((uint64,bytes32))",
        ["(uint64,bytes32)"],
        [checkpoint],
        "bytes32",
    )
    assert digest == raw(vector["digest"])


@pytest.mark.asyncio
async def test_escrow__statement_and_line_vectors__same_digest_and_leaves(
    hardhat_site: ChainSite,
) -> None:
    vector = message("Statement")
    at = raw(vector["typed_data"]["domain"]["verifyingContract"])
    await placed(hardhat_site, hardhat_site.deployment.campaign_escrow.address, at)
    fields = vector["typed_data"]["message"]
    counts = tuple(fields[name] for name in ("impressions", "viewables", "clicks", "conversions"))
    statement = (
        fields["campaign"],
        fields["sequence"],
        fields["treeSize"],
        fields["linesTotal"],
        counts,
        fields["corrections"],
        raw(fields["linesRoot"]),
        fields["isFinal"],
    )
    digest = await ask(
        hardhat_site,
        at,
        f"statementDigest({STATEMENT})",
        [STATEMENT],
        [statement],
        "bytes32",
    )
    assert digest == raw(vector["digest"])
    trees = load("money")["claim_tree"]
    lines = [line for tree in trees["trees"] for line in tree["lines"]]
    assert lines
    for line in lines:
        leaf = await ask(
            hardhat_site,
            at,
            f"lineLeaf(uint32,uint32,{COUNTS})",
            ["uint32", "uint32", COUNTS],
            [trees["campaign"], line["publisher"], tuple(line["counts"].values())],
            "bytes32",
        )
        assert leaf == raw(line["leaf"])


@pytest.mark.asyncio
async def test_event_log__successor_vector__same_digest(hardhat_site: ChainSite) -> None:
    vector = message("AttestorSetSuccessor")
    at = raw(vector["typed_data"]["domain"]["verifyingContract"])
    await placed(hardhat_site, hardhat_site.deployment.event_log.address, at)
    fields = vector["typed_data"]["message"]
    attestors = ["0x" + raw(each).hex() for each in load("signatures")["attestors"]]
    digest = await ask(
        hardhat_site,
        at,
        "successorDigest(uint32,uint32,address[],uint8)",
        ["uint32", "uint32", "address[]", "uint8"],
        [fields["set"], fields["version"], attestors, fields["threshold"]],
        "bytes32",
    )
    assert digest == raw(vector["digest"])
