"""What an auditor brings along: receipts, and checkpoints that others were shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from adtally.audit.copies_check import SeenCheckpoint
from adtally.audit.receipts_check import GivenReceipt
from adtally.client.fields import Fields
from adtally.client.log_files import find_files
from adtally.client.receipts import receipt_from_fields
from adtally.errors import InvalidInput
from adtally.log.checkpoint import NoteVerifier, open_checkpoint
from adtally.types import Checkpoint


def read_receipts(paths: Sequence[Path]) -> tuple[GivenReceipt, ...]:
    """Receipts as the service answered them, alone or with the rest of the answer.

    Raises:
        InvalidInput: a file is missing, or holds no receipt.
    """
    return tuple(_receipt(path) for path in paths)


def _receipt(path: Path) -> GivenReceipt:
    try:
        fields = Fields(json.loads(path.read_bytes()), "receipt")
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "not a receipt",
            field=str(path),
            expected="JSON as the service answered",
            found=str(error),
        ) from None
    if "receipt" in fields.names():
        fields = fields.inner("receipt")
    receipt, signature = receipt_from_fields(fields)
    return GivenReceipt(path.name, receipt, signature)


async def read_copies(places: Sequence[str], verifier: str) -> tuple[SeenCheckpoint, ...]:
    """Checkpoints that others hold, each signed by the log's key.

    Args:
        places: addresses or folders of copies of the log, files that hold a signed note, or
            reports of other audits (``--json``), which their auditor answers for.

    Raises:
        AdtallyError: a place does not answer, or what it holds is not signed by the log.
    """
    return tuple([await _copy(place, NoteVerifier.parse(verifier)) for place in places])


async def _copy(place: str, verifier: NoteVerifier) -> SeenCheckpoint:
    content = _file(place)
    if content is not None:
        if content.lstrip().startswith(b"{"):
            return SeenCheckpoint(place, _reported(content, place))
        return SeenCheckpoint(place, open_checkpoint(content, [verifier], origin=verifier.name))
    files = await find_files(place)
    try:
        note = await files.read("checkpoint")
    finally:
        await files.close()
    return SeenCheckpoint(place, open_checkpoint(note, [verifier], origin=verifier.name))


def _file(place: str) -> bytes | None:
    path = Path(place)
    return path.read_bytes() if "://" not in place and path.is_file() else None


def _reported(content: bytes, place: str) -> Checkpoint:
    try:
        figures = Fields(json.loads(content), "audit report").inner("figures")
    except ValueError as error:
        raise InvalidInput(
            "not an audit report", field=place, expected="what --json wrote", found=str(error)
        ) from None
    return Checkpoint(figures.integer("tree_size"), figures.octets("root_hash", 32))
