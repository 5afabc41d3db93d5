"""``proof-bundle.json``: bundles of made-up blocks, true ones and ones that must fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adtally.ethereum.rlp import encode
from adtally.log.merkle import MerkleTree
from adtally.log.multiproof import join_proofs
from adtally.proofs.bundle import MAGIC, Bundle
from adtally.proofs.findings import Trust
from adtally.proofs.squeeze import expand, squeeze
from adtally.proofs.verify import blocks_of, verify_bundle
from adtally.rfc9162 import leaf_hash
from chainless.evidence import Shape, make_bundle, with_headers

_SHAPE = Shape(batch=4, position=1, lines=3)


def proof_bundle_vectors() -> dict[str, Any]:
    usual, chain = make_bundle(_SHAPE)
    other, _ = make_bundle(Shape(batch=4, position=1, lines=3, seed=2, publisher=11))
    unpaid = replace(usual, paid=None)
    logged = replace(usual, line=None, order=None, paid=None)
    scope = usual.scope
    return {
        "scope": {
            "chain_id": scope.chain_id,
            "event_log": _hex(scope.event_log),
            "escrow": _hex(scope.escrow),
        },
        "cases": [
            _case("from record to payment", usual),
            _case("with headers down to the oldest block", with_headers(usual, chain)),
            _case("settled, not paid", unpaid),
            _case("logged, not settled", logged),
        ],
        "rejected": [
            {"name": name, "bundle": _hex(data)} for name, data in _rejected(usual, other).items()
        ],
        "squeezed": [
            {"data": _hex(data), "squeezed": _hex(squeeze(data))}
            for data in (b"", b"abc", bytes(32), b"abcdabcdabcd", bytes(300), bytes(range(200)))
        ],
        "multiproofs": [_multiproof(size, indexes) for size, indexes in (
            (1, [0]), (7, [2]), (7, [2, 3]), (7, [0, 6]), (11, [1, 4, 5, 10]),
        )],
    }  # fmt: skip


def _case(name: str, bundle: Bundle) -> dict[str, Any]:
    scope = bundle.scope
    blocks = [header.hash for header in blocks_of(bundle)]
    trust = Trust(scope.chain_id, scope.event_log, scope.escrow, (), blocks, "these vectors")
    found = verify_bundle(bundle, trust)
    data = bundle.to_bytes()
    return {
        "name": name,
        "bundle": _hex(data),
        "rlp": _hex(expand(data[len(MAGIC) :])),
        "blocks": [_hex(block) for block in blocks],
        "findings": [
            {"topic": line.topic, "standing": line.standing.value, "text": line.text}
            for line in found.lines
        ],
    }


def _rejected(usual: Bundle, other: Bundle) -> dict[str, bytes]:
    good = usual.to_bytes()
    item = expand(good[len(MAGIC) :])
    return {
        "empty": b"",
        "another version": good[:8] + b"\x02" + good[9:],
        "cut": good[:-1],
        "a byte more": good + b"\0",
        "not squeezed": MAGIC + b"".join(
            bytes((len(item[at : at + 128]) - 1,)) + item[at : at + 128]
            for at in range(0, len(item), 128)
        ),
        "not RLP": MAGIC + squeeze(b"\xf8\x00"),
        "a list more": MAGIC + squeeze(encode([[]] * 13)),
        "verdict changed": replace(
            usual, record=usual.record[:3] + b"\x02" + usual.record[4:]
        ).to_bytes(),
        "another batch": replace(usual, envelope=other.envelope).to_bytes(),
        "anchor of another log": replace(usual, anchored=other.anchored).to_bytes(),
        "another publisher's line": replace(usual, line=other.line).to_bytes(),
        "another publisher's payment": replace(usual, paid=other.paid).to_bytes(),
        "payment without a line": replace(usual, line=None, order=None).to_bytes(),
    }  # fmt: skip


def _multiproof(size: int, indexes: list[int]) -> dict[str, Any]:
    tree = MerkleTree()
    tree.append([leaf_hash(b"entry %d" % at) for at in range(size)])
    paths = {index: tree.inclusion_proof(index, size) for index in indexes}
    return {
        "size": size,
        "leaves": {str(index): _hex(tree.leaf(index)) for index in indexes},
        "proof": [_hex(each) for each in join_proofs(paths, size)],
        "root": _hex(tree.root()),
    }


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
