"""The public files of a scene in the layout of ``adtally export-log``, in memory."""

from __future__ import annotations

import hashlib
from typing import Any

from scripts.chainless.facts import RECEIPT_KEY

from adtally.api.operations import AnchorOut
from adtally.api.schemas import LineOut, StatementOut, hex_text
from adtally.api.statements import AttestationOut, StatementDetailOut
from adtally.audit.chain_events import Anchored, Contract, decode_event
from adtally.chain.deployment import DeployedContract, DeployedToken, Deployment
from adtally.errors import NotFound
from adtally.events.eip712 import statement_digest
from adtally.events.signature import address_of, sign
from adtally.log.blocks import Block
from adtally.log.canonical_json import canonical_json
from adtally.log.cosignature import Cosigner, cosigner_name, with_cosignatures
from adtally.log.signed_document import sign_document
from adtally.settlement.claim_tree import ClaimTree
from adtally.types import ChainLog, Checkpoint, Line, Statement
from support.audit_scene import ADDRESSES, GENESIS, ORIGIN, SIGNER, Scene
from support.world import CHAIN_ID, ESCROW_DOMAIN, OPERATOR, TOKEN, World, key_of

COSIGNERS = [Cosigner(cosigner_name(ORIGIN, bytes([n]) * 20), bytes([n]) * 32) for n in (1, 2)]
ATTESTORS = [key_of(100 + number) for number in range(3)]


class DictFiles:
    """``LogFiles`` and ``PublicFiles`` of a dictionary."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.name = "memory"

    async def read(self, path: str) -> bytes:
        if path not in self.files:
            raise NotFound("no such file", expected=path, found="nothing")
        return self.files[path]

    async def paths(self) -> list[str]:
        return sorted(self.files)

    async def close(self) -> None:
        pass


def paper_deployment() -> Deployment:
    """The deployment file of the scenes' contracts."""
    contracts = {
        each.value: DeployedContract(address, bytes([number]) * 32)
        for number, (each, address) in enumerate(ADDRESSES.items())
    }
    return Deployment(
        chain_id=CHAIN_ID,
        genesis_hash=GENESIS,
        block_number=1,
        access_manager=DeployedContract(b"\x55" * 20, b"\x09" * 32),
        operator_member=OPERATOR,
        attestor_set=1,
        threshold=2,
        attestors=tuple(sorted(address_of(key) for key in ATTESTORS)),
        receipt_signer=address_of(RECEIPT_KEY),
        tokens={"USDX": DeployedToken(TOKEN, 6, "USD")},
        **contracts,
    )


def public_files(scene: Scene) -> dict[str, bytes]:
    """Every file of an export, by its path; the log is below 65,536 entries."""
    block = Block.of(0, scene.log.served)
    files = {file.path: content for file, content in block.files.items()}
    files["checkpoint"] = scene.log.note
    checkpoint = Checkpoint(len(scene.log.served), scene.root(len(scene.log.served)))
    files["cosigned-checkpoint"] = with_cosignatures(
        scene.log.note,
        [
            each.cosign(checkpoint, origin=ORIGIN, timestamp_seconds=1_700_000_000)
            for each in COSIGNERS
        ],
    )
    rules = World().rules.to_json()
    files[f"rules/{_sha256(rules)}.json"] = rules
    deployment = paper_deployment().to_json() | {"note_verifier": str(SIGNER.verifier)}
    documents: dict[str, Any] = {
        "deployment.json": deployment,
        "anchors.json": _anchors(scene),
        "campaigns.json": [{"id": 1, "advertiser": 2}],
        "cosigners.json": [{"verifier": str(each.verifier)} for each in COSIGNERS],
    }
    for statement, lines in scene.stated:
        path = f"statements/{statement.campaign}/{statement.sequence}.json"
        documents[path] = _statement(statement, lines)
    for path, document in documents.items():
        files[path] = canonical_json(document)
        files[f"{path}.note"] = sign_document(SIGNER, path, files[path])
    return files


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _anchors(scene: Scene) -> list[dict[str, Any]]:
    found = [(log, decode_event(Contract.EVENT_LOG, log)) for log in scene.chain.logs_
             if log.address == ADDRESSES[Contract.EVENT_LOG]]  # fmt: skip
    return [_anchor(log, event) for log, event in found if isinstance(event, Anchored)]


def _anchor(log: ChainLog, event: Anchored) -> dict[str, Any]:
    return AnchorOut(
        tree_size=event.tree_size,
        root_hash=hex_text(event.root_hash),
        anchor_number=event.number,
        transaction_hash=hex_text(log.transaction_hash),
        block_number=log.block_number,
        gas_used=123_456,
    ).model_dump(mode="json")


def _statement(statement: Statement, lines: list[Line]) -> dict[str, Any]:
    tree = ClaimTree(ESCROW_DOMAIN, statement.campaign, lines)
    digest = statement_digest(ESCROW_DOMAIN, statement)
    answers = [
        AttestationOut(
            attestor=hex_text(address_of(key)),
            signature=hex_text(sign(digest, key)),
            refusal=None,
            answered_at_ms=1_700_000_000_000,
        )
        for key in ATTESTORS[:2]
    ]
    return StatementDetailOut(
        **StatementOut.of(statement).model_dump(),
        reason="final" if statement.is_final else "threshold",
        created_at_ms=1_700_000_000_000,
        state="settled",
        transaction_hash=hex_text(bytes(32)),
        activates_at_seconds=1_700_000_000,
        is_objected=False,
        lines=[LineOut.of(line, tree.proof(line.publisher)) for line in lines],
        attestations=answers,
    ).model_dump(mode="json")
