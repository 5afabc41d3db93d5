"""``adtally verify`` on receipts and proofs, true and tampered; what the command line promises."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from adtally.chain.deployment import DeployedContract, Deployment
from adtally.cli import app, error_text
from adtally.client.receipts import BatchAnswer
from adtally.commands.verify import VerifyOptions, verify
from adtally.errors import AdtallyError, InvalidInput, VerificationFailed
from adtally.events.eip712 import Receipt, log_domain, receipt_digest
from adtally.events.signature import address_of, sign
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash

KEY = b"\x05" * 32
ENTRIES = [bytes((number,)) * 20 for number in range(1, 12)]


def contract(number: int) -> DeployedContract:
    return DeployedContract(bytes((number,)) * 20, bytes(32))


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    path = tmp_path / "deployment.json"
    Deployment(
        chain_id=31_337,
        genesis_hash=bytes(32),
        block_number=1,
        access_manager=contract(1),
        membership=contract(2),
        event_log=contract(3),
        campaign_escrow=contract(4),
        operator_member=1,
        attestor_set=1,
        threshold=1,
        attestors=(b"\x09" * 20,),
        receipt_signer=address_of(KEY),
    ).save(path)
    return path


def tree() -> MerkleTree:
    made = MerkleTree()
    made.append([leaf_hash(entry) for entry in ENTRIES])
    return made


def receipt_document(deployment: Path) -> dict[str, object]:
    receipt = Receipt(2, 1, bytes(32), 3, 4, 11, tree().root(), 2_000_000_000)
    domain = log_domain(Deployment.load(deployment).log_identity)
    return {
        "member": receipt.member,
        "sequence": receipt.sequence,
        "records_root": "0x" + receipt.records_root.hex(),
        "first_index": receipt.first_index,
        "count": receipt.count,
        "tree_size": receipt.tree_size,
        "root_hash": "0x" + receipt.root_hash.hex(),
        "anchor_deadline_seconds": receipt.anchor_deadline_seconds,
        "signature": "0x" + sign(receipt_digest(domain, receipt), KEY).hex(),
    }


def inclusion_document(index: int = 4) -> dict[str, object]:
    made = tree()
    return {
        "index": index,
        "leaf_hash": "0x" + made.leaf(index).hex(),
        "tree_size": made.size,
        "root_hash": "0x" + made.root().hex(),
        "proof": ["0x" + node.hex() for node in made.inclusion_proof(index)],
    }


def consistency_document(first: int = 5) -> dict[str, object]:
    made = tree()
    return {
        "first": first,
        "first_root_hash": "0x" + made.root(first).hex(),
        "second": made.size,
        "second_root_hash": "0x" + made.root().hex(),
        "proof": ["0x" + node.hex() for node in made.consistency_proof(first)],
    }


async def run(document: object, deployment: Path, entry: bytes | None = None) -> str:
    file = deployment.with_name("handed-over.json")
    file.write_text(json.dumps(document))
    entry_file = None
    if entry is not None:
        entry_file = deployment.with_name("entry")
        entry_file.write_bytes(entry)
    output = io.StringIO()
    options = VerifyOptions(file, deployment, None, entry_file)
    await verify(options, Console(file=output, width=300))
    return output.getvalue()


@pytest.mark.asyncio
async def test_verify__receipt_alone_or_in_its_answer__is_ok(deployment: Path) -> None:
    document = receipt_document(deployment)
    answer = {"receipt": document, "verdicts": [], "replayed": False}
    kept = json.loads(BatchAnswer.from_json(answer).receipt_json())
    for handed_over in (document, answer, kept):
        shown = await run(handed_over, deployment)
        assert "signed by the operator" in shown
        assert "not checked against the chain" in shown


@pytest.mark.asyncio
@pytest.mark.parametrize("field", ["member", "count", "tree_size", "anchor_deadline_seconds"])
async def test_verify__receipt_tampered__fails(deployment: Path, field: str) -> None:
    document = receipt_document(deployment)
    value = document[field]
    assert isinstance(value, int)
    with pytest.raises(VerificationFailed):
        await run(document | {field: value + 1}, deployment)


@pytest.mark.asyncio
async def test_verify__inclusion__holds_for_the_entry_and_no_other(deployment: Path) -> None:
    assert "is in the log of 11" in await run(inclusion_document(), deployment)
    assert "is that leaf" in await run(inclusion_document(), deployment, ENTRIES[4])
    with pytest.raises(VerificationFailed):
        await run(inclusion_document(), deployment, ENTRIES[5])
    with pytest.raises(VerificationFailed):
        await run(inclusion_document() | {"index": 5}, deployment)


@pytest.mark.asyncio
async def test_verify__consistency__holds_and_fails_when_tampered(deployment: Path) -> None:
    assert "extends that of 5 entries" in await run(consistency_document(), deployment)
    with pytest.raises(VerificationFailed):
        await run(consistency_document() | {"first": 4}, deployment)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "document", [{}, [], "x", 7, None, {"receipt": 1}, {"index": 1, "leaf_hash": "0x"}]
)
async def test_verify__something_else__says_what_it_wants(
    deployment: Path, document: object
) -> None:
    with pytest.raises(InvalidInput):
        await run(document, deployment)


def test_help__lists_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    commands = ("up", "demo", "deploy", "replay", "attest", "audit", "verify", "reconcile")
    for command in (*commands, "simulate", "correct"):
        assert re.search(rf"\b{command}\b", shown.stdout), command


def test_error_text__says_expected_found_and_what_to_do() -> None:
    error = AdtallyError("it broke", field="a.b", expected="one", found="two", action="mend it")
    text = str(error_text(error))
    for part in ("it broke", "a.b", "one", "two", "mend it"):
        assert part in text
