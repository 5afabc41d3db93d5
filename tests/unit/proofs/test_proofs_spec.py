"""The committed vectors of proof bundles, read as the specification says, with other libraries."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_utils import keccak

from adtally.errors import AdtallyError
from adtally.log.multiproof import verify_leaves
from adtally.proofs.bundle import MAGIC, Bundle
from adtally.proofs.findings import Trust
from adtally.proofs.squeeze import expand, squeeze
from adtally.proofs.verify import verify_bundle

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "docs" / "spec" / "vectors" / "proof-bundle.json").read_text()
)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def trust(blocks: list[str] | None) -> Trust:
    scope = VECTORS["scope"]
    return Trust(
        scope["chain_id"],
        unhex(scope["event_log"]),
        unhex(scope["escrow"]),
        (),
        None if blocks is None else [unhex(block) for block in blocks],
        "these vectors",
    )


ALL_BLOCKS = sorted({block for case in VECTORS["cases"] for block in case["blocks"]})


def by_name(case: dict[str, Any]) -> str:
    return str(case["name"])


def expand_by_the_page(squeezed: bytes) -> bytes:
    """Written from the page, not from the code."""
    out = bytearray()
    at = 0
    while at < len(squeezed):
        first = squeezed[at]
        if first < 128:
            out += squeezed[at + 1 : at + 1 + first + 1]
            at += first + 2
        else:
            distance = squeezed[at + 1] * 256 + squeezed[at + 2]
            for _ in range(first - 124):
                out.append(out[-distance])
            at += 3
    return bytes(out)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=by_name)
def test_vectors__true_bundle__findings_as_written(case: dict[str, Any]) -> None:
    data = unhex(case["bundle"])
    found = verify_bundle(Bundle.from_bytes(data), trust(case["blocks"]))
    assert [(line.topic, line.standing.value, line.text) for line in found.lines] == [
        (line["topic"], line["standing"], line["text"]) for line in case["findings"]
    ]
    assert Bundle.from_bytes(data).to_bytes() == data


@pytest.mark.parametrize("case", VECTORS["cases"], ids=by_name)
def test_vectors__true_bundle__is_what_the_page_says(case: dict[str, Any]) -> None:
    data = unhex(case["bundle"])
    assert data[:9] == b"ADTPROOF\x01" == MAGIC
    body = expand_by_the_page(data[9:])
    assert body == unhex(case["rlp"])
    items = rlp.decode(body, strict=True)
    assert len(items) == 12
    record, envelope = items[1][1], items[2][1]
    assert (len(record), len(envelope)) == (112, 109)
    proofs = [items[5], items[9], items[10], items[8][3] if items[8] else []]
    hashes = {"0x" + keccak(proof[0]).hex() for proof in proofs if proof}
    assert hashes == set(case["blocks"])
    for proof in filter(None, proofs):
        header = rlp.decode(proof[0], strict=True)
        # The trie of a block with one transaction is one node.
        (node,) = proof[2]
        assert header[5] == keccak(node)


@pytest.mark.parametrize("case", VECTORS["rejected"], ids=by_name)
def test_vectors__rejected_bundle__fails(case: dict[str, Any]) -> None:
    with pytest.raises(AdtallyError):
        verify_bundle(Bundle.from_bytes(unhex(case["bundle"])), trust(ALL_BLOCKS))


@pytest.mark.parametrize("case", VECTORS["squeezed"])
def test_vectors__squeezed__both_ways(case: dict[str, str]) -> None:
    data, squeezed = unhex(case["data"]), unhex(case["squeezed"])
    assert squeeze(data) == squeezed
    assert expand(squeezed) == expand_by_the_page(squeezed) == data


def root_by_the_page(first: int, end: int, leaves: dict[int, bytes], proof: list[bytes]) -> bytes:
    """The recursive definition; takes hashes off the front of ``proof``."""
    if not any(first <= index < end for index in leaves):
        return proof.pop(0)
    if end - first == 1:
        return leaves[first]
    k = 1
    while 2 * k < end - first:
        k *= 2
    left = root_by_the_page(first, first + k, leaves, proof)
    right = root_by_the_page(first + k, end, leaves, proof)
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("case", VECTORS["multiproofs"])
def test_vectors__multiproof__leads_to_its_root(case: dict[str, Any]) -> None:
    leaves = {int(index): unhex(leaf) for index, leaf in case["leaves"].items()}
    proof = [unhex(each) for each in case["proof"]]
    verify_leaves(leaves, case["size"], proof, unhex(case["root"]))
    left = list(proof)
    assert root_by_the_page(0, case["size"], leaves, left) == unhex(case["root"])
    assert left == []
