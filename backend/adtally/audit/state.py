"""What an audit leaves behind, so that the next one starts where it ended.

One file per state: a line that names the format, SHA-256 of the rest, a JSON head, then arrays. A
file that does not fit is refused (StorageCorrupt), never mended: the audit then starts from an
older state or from the first entry. What the chain says is in no state: it is checked again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from adtally.audit.replay import Recomputed, ReplayState
from adtally.columns.resuming import FORMAT
from adtally.errors import StorageCorrupt
from adtally.settlement.machine import MachineDump
from adtally.types import BlockStamp, Counts, Hash, Line, Statement
from adtally.verification.facts_lag import Judged

_MAGIC = b"adtally audit state 1, replay %d\n" % FORMAT
_HASH_SIZE = 32


@dataclass(frozen=True, slots=True)
class AuditState:
    """Everything known of the log's first ``size`` entries.

    Attributes:
        log: which log this is about: origin, escrow domain and first block.
        root: of those entries.
        note: the signed checkpoint that ended the audit; empty while it was under way.
        pinned: the final block up to which the chain was read then, None while under way.
        chunk_roots, open_leaves, roots: as ``LogTree`` keeps them.
        facts: all entries that are neither envelope nor record, with their leaf indices.
        judged: as ``JudgedTrace`` keeps them.
    """

    log: str
    root: Hash
    note: bytes
    pinned: BlockStamp | None
    chunk_roots: tuple[Hash, ...]
    open_leaves: bytes
    roots: Mapping[int, Hash]
    facts: tuple[tuple[int, bytes], ...]
    judged: tuple[Judged, ...]
    replay: ReplayState

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.replay.machine.size

    @property
    def is_audited(self) -> bool:
        """Whether an audit ended here, with this root under a signed checkpoint."""
        return bool(self.note)

    def to_bytes(self) -> bytes:
        """As it stands in a file."""
        machine = self.replay.machine
        head = {
            "log": self.log,
            "root": self.root.hex(),
            "note": self.note.hex(),
            "pinned": None if self.pinned is None else _stamp_json(self.pinned),
            "roots": {str(size): root.hex() for size, root in sorted(self.roots.items())},
            "facts": [[index, entry.hex()] for index, entry in self.facts],
            "judged": [[j.through_block, j.index, j.at_ms, j.max_lag_seconds] for j in self.judged],
            "stops": sorted(self.replay.stops),
            "recomputed": [_recomputed_json(each) for each in self.replay.recomputed.values()],
            "verdicts": {str(code): count for code, count in sorted(self.replay.verdicts.items())},
            "corrections": self.replay.corrections,
            "size": machine.size,
            "last_received_at_ms": machine.last_received_at_ms,
            "next_sequence": {str(key): value for key, value in machine.next_sequence.items()},
            "arrays": list(machine.engine),
        }
        encoded = json.dumps(head, separators=(",", ":")).encode()
        body = io.BytesIO()
        for piece in (encoded, b"".join(self.chunk_roots), self.open_leaves):
            body.write(len(piece).to_bytes(8, "big"))
            body.write(piece)
        for array in machine.engine.values():
            np.save(body, np.ascontiguousarray(array), allow_pickle=False)
        rest = body.getvalue()
        return _MAGIC + hashlib.sha256(rest).digest() + rest

    @staticmethod
    def from_bytes(data: bytes, log: str) -> AuditState:
        """Read what ``to_bytes`` wrote.

        Args:
            log: which log the state must be about.

        Raises:
            StorageCorrupt: another format, damaged, or of another log.
        """
        start = len(_MAGIC) + _HASH_SIZE
        if not data.startswith(_MAGIC):
            raise _unusable("a state of this version", repr(data[: len(_MAGIC)]))
        if hashlib.sha256(data[start:]).digest() != data[len(_MAGIC) : start]:
            raise _unusable("the bytes that were written", "others")
        try:
            state = _parse(io.BytesIO(data[start:]))
        except (ValueError, KeyError, TypeError, IndexError, EOFError) as error:
            raise _unusable("a state of this version", f"{type(error).__name__}: {error}") from None
        if state.log != log:
            raise _unusable(log, state.log)
        return state


def _parse(body: io.BytesIO) -> AuditState:
    head = json.loads(_piece(body))
    chunk_roots, open_leaves = _piece(body), _piece(body)
    engine = {name: np.load(body, allow_pickle=False) for name in head["arrays"]}
    machine = MachineDump(
        head["size"],
        head["last_received_at_ms"],
        {int(key): value for key, value in head["next_sequence"].items()},
        engine,
    )
    recomputed = [_recomputed_from(each) for each in head["recomputed"]]
    replay = ReplayState(
        machine,
        {(each.statement.campaign, each.statement.sequence): each for each in recomputed},
        {int(code): count for code, count in head["verdicts"].items()},
        head["corrections"],
        frozenset(head["stops"]),
    )
    pinned = head["pinned"]
    return AuditState(
        log=head["log"],
        root=bytes.fromhex(head["root"]),
        note=bytes.fromhex(head["note"]),
        pinned=None
        if pinned is None
        else BlockStamp(pinned[0], bytes.fromhex(pinned[1]), pinned[2]),
        chunk_roots=tuple(
            chunk_roots[at : at + _HASH_SIZE] for at in range(0, len(chunk_roots), _HASH_SIZE)
        ),
        open_leaves=open_leaves,
        roots={int(size): bytes.fromhex(root) for size, root in head["roots"].items()},
        facts=tuple((index, bytes.fromhex(entry)) for index, entry in head["facts"]),
        judged=tuple(Judged(*each) for each in head["judged"]),
        replay=replay,
    )


def _piece(body: io.BytesIO) -> bytes:
    size = int.from_bytes(body.read(8), "big")
    piece = body.read(size)
    if len(piece) != size:
        raise EOFError(f"{len(piece)} of {size} bytes")
    return piece


def _stamp_json(stamp: BlockStamp) -> list[object]:
    return [stamp.number, stamp.hash.hex(), stamp.timestamp_seconds]


def _recomputed_json(each: Recomputed) -> dict[str, Any]:
    statement = asdict(each.statement)
    return {
        "statement": statement | {"lines_root": each.statement.lines_root.hex()},
        "lines": [asdict(line) for line in each.lines.values()],
        "may_be_final": each.may_be_final,
    }


def _recomputed_from(raw: Mapping[str, Any]) -> Recomputed:
    statement = dict(raw["statement"])
    statement["counts"] = Counts(**statement["counts"])
    statement["lines_root"] = bytes.fromhex(statement["lines_root"])
    lines = [
        Line(each["publisher"], Counts(**each["counts"]), each["amount_base_units"])
        for each in raw["lines"]
    ]
    return Recomputed(
        Statement(**statement), {line.publisher: line for line in lines}, raw["may_be_final"]
    )


def _unusable(expected: str, found: str) -> StorageCorrupt:
    return StorageCorrupt(
        "a kept audit state can't be used",
        field="state",
        expected=expected,
        found=found[:200],
        action="the audit starts from an older one, or from the first entry",
    )
