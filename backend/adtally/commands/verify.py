"""``adtally verify``: a receipt or a proof that somebody handed over, checked offline.

Proof bundles are for ``verify_bundle``; what is here reads the JSON that the service answers.

Against a deployment file alone the signature or the arithmetic is checked; with a chain, also
that what it leads to was anchored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from adtally.chain.connection import Chain
from adtally.chain.contracts.event_log import EventLog
from adtally.chain.deployment import Deployment
from adtally.client.fields import Fields
from adtally.client.receipts import receipt_from_fields
from adtally.commands.verify_bundle import Against, check_bundle
from adtally.errors import InvalidInput, VerificationFailed
from adtally.events.eip712 import Receipt, log_domain, receipt_digest
from adtally.events.signature import require_signer
from adtally.log.proof import verify_consistency, verify_inclusion
from adtally.proofs.bundle import MAGIC
from adtally.rfc9162 import leaf_hash
from adtally.types import Checkpoint, Hash

_MAX_FILE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Verified:
    """What was shown, and the checkpoint that it leads to (None if to none)."""

    lines: tuple[str, ...]
    checkpoint: Checkpoint | None


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What to check against.

    Attributes:
        entry_file: holds the entry's bytes that an inclusion proof is about.
        block_hashes: blocks that are part of the chain, for a bundle without an RPC.
        as_json: print what was found as one JSON document.
    """

    file: Path
    deployment: Path
    rpc_url: str | None
    entry_file: Path | None
    block_hashes: tuple[Hash, ...] = ()
    as_json: bool = False


async def verify(options: VerifyOptions, console: Console) -> bool:
    """Check a file; says what was shown and what was not.

    Returns:
        Whether everything that the file is about was shown.

    Raises:
        VerificationFailed: a signature or proof does not verify, or a promise was broken.
        InvalidInput: the file is neither receipt nor proof.
    """
    data = _read(options.file)
    if data.startswith(MAGIC):
        against = Against(options.deployment, options.rpc_url, options.block_hashes)
        return await check_bundle(data, against, console, as_json=options.as_json)
    deployment = Deployment.load(options.deployment)
    fields = Fields(_json(options.file, data), "receipt or proof")
    if "receipt" in fields.names():
        fields = fields.inner("receipt")
    names = set(fields.names())
    receipt: Receipt | None = None
    if "records_root" in names:
        receipt, signature = receipt_from_fields(fields)
        verified = _verify_receipt(receipt, signature, deployment)
    elif {"index", "leaf_hash"} <= names:
        entry = None if options.entry_file is None else options.entry_file.read_bytes()
        verified = _verify_inclusion(fields, entry)
    elif {"first", "second"} <= names:
        verified = _verify_consistency(fields)
    else:
        raise InvalidInput(
            "the file is neither a receipt nor a proof",
            field=str(options.file),
            expected="an answer of POST /v1/batches or GET /v1/log/proofs/..., as it came",
            found=f"fields {', '.join(sorted(names)) or 'none'}",
        )
    for line in verified.lines:
        console.print(f"[green]ok[/green]  {line}", highlight=False)
    if options.rpc_url is None:
        console.print("[dim]not checked against the chain: give --rpc-url for that[/dim]")
        return True
    chain = Chain(options.rpc_url, deployment.finality)
    try:
        await deployment.check(chain)
        log = EventLog(chain, deployment.event_log.address)
        line = await _on_chain(log, chain, verified.checkpoint, receipt)
    finally:
        await chain.close()
    console.print(line, highlight=False)
    return True


def _verify_receipt(receipt: Receipt, signature: bytes, deployment: Deployment) -> Verified:
    digest = receipt_digest(log_domain(deployment.log_identity), receipt)
    require_signer(digest, signature, deployment.receipt_signer, "receipt")
    return Verified(
        (
            f"signed by the operator of this deployment: batch {receipt.sequence} of member "
            f"{receipt.member}, {receipt.count} events from leaf {receipt.first_index + 1} on, in "
            f"a log of {receipt.tree_size} entries with root 0x{receipt.root_hash.hex()}",
        ),
        None,
    )


def _verify_inclusion(fields: Fields, entry: bytes | None) -> Verified:
    index, size = fields.integer("index"), fields.integer("tree_size")
    leaf, root = fields.octets("leaf_hash", 32), fields.octets("root_hash", 32)
    lines = [f"leaf {index} is in the log of {size} entries with root 0x{root.hex()}"]
    verify_inclusion(leaf, index, size, fields.hashes("proof"), root)
    if entry is not None:
        if leaf_hash(entry) != leaf:
            raise VerificationFailed(
                "the entry is not the leaf that the proof is about",
                field="leaf_hash",
                expected=f"0x{leaf_hash(entry).hex()}",
                found=f"0x{leaf.hex()}",
            )
        lines.append("the entry given is that leaf")
    return Verified(tuple(lines), Checkpoint(size, root))


def _verify_consistency(fields: Fields) -> Verified:
    first, second = fields.integer("first"), fields.integer("second")
    old, new = fields.octets("first_root_hash", 32), fields.octets("second_root_hash", 32)
    verify_consistency(first, second, old, new, fields.hashes("proof"))
    line = f"the log of {second} entries with root 0x{new.hex()} extends that of {first} entries"
    return Verified((line,), Checkpoint(second, new))


async def _on_chain(
    log: EventLog, chain: Chain, checkpoint: Checkpoint | None, receipt: Receipt | None
) -> str:
    """What the chain says of it, as a line to print."""
    if checkpoint is not None:
        if await log.is_anchored(checkpoint):
            return "[green]ok[/green]  this root is anchored on chain"
        return (
            "[yellow]?[/yellow]   this root is not among the recent anchors: ask for a proof at "
            "an anchored size (GET /v1/anchors)"
        )
    assert receipt is not None
    latest = await chain.latest()
    head = await log.head_size(latest)
    if head >= receipt.tree_size:
        return f"[green]ok[/green]  the chain has an anchor of {head} entries, past the receipt"
    if latest.timestamp_seconds > receipt.anchor_deadline_seconds:
        raise VerificationFailed(
            "the promise of the receipt is broken",
            expected=f"an anchor of {receipt.tree_size} entries by "
            f"{receipt.anchor_deadline_seconds}",
            found=f"the newest at {latest.timestamp_seconds} has {head} entries",
            action="keep the receipt: with the chain it proves this to anybody",
        )
    return (
        f"[yellow]?[/yellow]   not anchored yet; promised for {receipt.anchor_deadline_seconds} "
        "(UTC seconds)"
    )


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise ValueError(f"larger than {_MAX_FILE_BYTES} bytes")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "the file can't be read", field=str(path), expected="a readable file", found=str(error)
        ) from None


def _json(path: Path, data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            "the file can't be read",
            field=str(path),
            expected="a proof bundle or JSON",
            found=str(error),
        ) from None
