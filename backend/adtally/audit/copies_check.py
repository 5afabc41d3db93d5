"""Whether others were shown the same log: a server can lie to one client only if nobody compares.

What others saw (attestors' copies, another auditor's report) must be a prefix of what is served
here, and must not reach further: it was looked at before the checkpoint was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from adtally.audit.reading import Reading
from adtally.audit.report import Findings
from adtally.types import Checkpoint


@dataclass(frozen=True, slots=True)
class SeenCheckpoint:
    """A checkpoint that somebody else was shown; ``by`` says who."""

    by: str
    checkpoint: Checkpoint


async def check_copies(
    copies: tuple[SeenCheckpoint, ...],
    served: Checkpoint | None,
    reading: Reading,
    findings: Findings,
) -> None:
    """Compare what others saw with the log that was read.

    Args:
        served: the checkpoint that this audit was given.
    """
    for each in copies:
        where = f"as seen by {each.by}"
        size = each.checkpoint.tree_size
        if served is not None and served.tree_size < size:
            findings.differs(
                "copies",
                "a stale checkpoint was served to this audit",
                where,
                f"at least {size} entries",
                f"{served.tree_size} entries",
            )
            continue
        if size > reading.tree.size:
            expected, found = f"at least {size} entries", f"{reading.tree.size} entries"
            what = "the log is shorter than others saw"
            findings.differs("copies", what, where, expected, found)
            continue
        root = await reading.root(size)
        if root is not None:
            what = f"root hash at tree size {size}"
            findings.compare("copies", what, where, root, each.checkpoint.root_hash)
