"""Money and log vectors against definitions written out here, without adtally's code."""

from __future__ import annotations

import base64
import hashlib
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from eth_abi import encode
from eth_utils import keccak
from events_spec import unhex, vectors

LOG = vectors("log.json")
MONEY = vectors("money.json")


def recursive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, as it is written."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(
        b"\x01" + recursive_root(leaves[:k]) + recursive_root(leaves[k:])
    ).digest()


def recursive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 9162, 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if index < k:
        return [*recursive_path(index, leaves[:k]), recursive_root(leaves[k:])]
    return [*recursive_path(index - k, leaves[k:]), recursive_root(leaves[:k])]


def recursive_consistency(first: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 9162, 2.1.4.1."""
    if first == len(leaves):
        return [] if whole else [recursive_root(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if first <= k:
        return [*recursive_consistency(first, leaves[:k], whole), recursive_root(leaves[k:])]
    return [*recursive_consistency(first - k, leaves[k:], False), recursive_root(leaves[:k])]


LEAVES = [hashlib.sha256(b"\x00" + unhex(entry)).digest() for entry in LOG["entries"]]


def test_log_vectors__every_kind_of_entry__stands_in_them() -> None:
    assert {unhex(entry)[0] for entry in LOG["entries"]} == {1, 2, 3, 4, 5, 6}


def test_log_vectors__roots__follow_the_definition() -> None:
    assert [unhex(each) for each in LOG["leaf_hashes"]] == LEAVES
    sizes = range(len(LEAVES) + 1)
    assert [unhex(each) for each in LOG["roots"]] == [recursive_root(LEAVES[:n]) for n in sizes]


def test_log_vectors__proofs__follow_the_definition() -> None:
    for case in LOG["inclusion_proofs"]:
        proof = [unhex(each) for each in case["proof"]]
        assert proof == recursive_path(case["index"], LEAVES[: case["tree_size"]])
    for case in LOG["consistency_proofs"]:
        proof = [unhex(each) for each in case["proof"]]
        assert proof == recursive_consistency(case["first"], LEAVES[: case["second"]], True)


def test_log_vectors__bundle__is_length_prefixed_entries() -> None:
    parts = [unhex(entry) for entry in LOG["entries"]]
    assert unhex(LOG["bundle"]) == b"".join(len(p).to_bytes(2, "big") + p for p in parts)


def test_log_vectors__checkpoint_note__verifies_by_c2sp_rules() -> None:
    checkpoint = LOG["checkpoint"]
    text, _, signatures = checkpoint["note"].rpartition("\n\n")
    name, key_id, key = checkpoint["verifier"].split("+", 2)
    public = base64.b64decode(key)
    assert public[0] == 1
    assert hashlib.sha256(name.encode() + b"\n" + public).hexdigest()[:8] == key_id
    origin, size, root = text.split("\n")
    assert origin == name
    assert base64.b64decode(root) == recursive_root(LEAVES[: int(size)])
    dash, signer, encoded = signatures.rstrip("\n").split(" ")
    assert (dash, signer) == ("\N{EM DASH}", name)
    raw = base64.b64decode(encoded)
    assert raw[:4].hex() == key_id
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(raw[4:], (text + "\n").encode())
    seed = Ed25519PrivateKey.from_private_bytes(unhex(checkpoint["private_key"]))
    assert seed.public_key().public_bytes_raw() == public[1:]


@pytest.mark.parametrize("case", MONEY["lines"], ids=lambda case: case["name"])
def test_line_vectors__amount__is_the_exact_price_floored_once(case: dict[str, Any]) -> None:
    rates = {key: int(value) for key, value in case["rates"].items()}
    counts = {key: int(value) for key, value in case["counts"].items()}
    exact = (
        Fraction(counts["impressions"] * rates["per_mille_impressions"], 1000)
        + Fraction(counts["viewables"] * rates["per_mille_viewables"], 1000)
        + counts["clicks"] * rates["per_click"]
        + counts["conversions"] * rates["per_conversion"]
    )
    assert int(case["amount_milli"]) == exact * 1000
    assert int(case["amount_base_units"]) == min(floor(exact), int(case["cap_base_units"]))


@pytest.mark.parametrize("case", MONEY["releases"], ids=lambda case: case["amount_base_units"])
def test_release_vectors__holdback__is_rounded_up(case: dict[str, Any]) -> None:
    amount, holdback = int(case["amount_base_units"]), case["holdback_basis_points"]
    held = -floor(Fraction(-amount * holdback, 10_000))
    assert int(case["released_base_units"]) == amount - held


@pytest.mark.parametrize("case", MONEY["reserves"], ids=lambda case: case["reserve_base_units"])
def test_reserve_vectors__cuts__are_floored_one_by_one(case: dict[str, Any]) -> None:
    total = int(case["lines_total_base_units"])
    cuts = [floor(Fraction(total * cut["basis_points"], 10_000)) for cut in case["cuts"]]
    assert cuts == [int(cut["amount_base_units"]) for cut in case["cuts"]]
    assert int(case["reserve_base_units"]) == total + sum(cuts)


CLAIMS = MONEY["claim_tree"]


@pytest.mark.parametrize("tree", CLAIMS["trees"], ids=lambda tree: f"{len(tree['lines'])} lines")
def test_claim_tree_vectors__leaves_and_proofs__lead_to_the_root(tree: dict[str, Any]) -> None:
    leaves = []
    for line in tree["lines"]:
        counts = line["counts"]
        encoded = encode(
            ["bytes32", "uint32", "uint32", "uint64", "uint64", "uint64", "uint64"],
            [unhex(CLAIMS["escrow_domain"]), CLAIMS["campaign"], line["publisher"],
             counts["impressions"], counts["viewables"], counts["clicks"], counts["conversions"]],
        )  # fmt: skip
        leaves.append(keccak(keccak(encoded)))
        assert leaves[-1] == unhex(line["leaf"])
        node = leaves[-1]
        for sibling in line["proof"]:
            node = keccak(b"".join(sorted((node, unhex(sibling)))))
        assert node == unhex(tree["root"])
    if not leaves:
        assert unhex(tree["root"]) == bytes(32)
