"""What checking a bundle came to: one line for each thing that was shown, or was not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum

from adtally.types import Address, Hash


class Standing(Enum):
    """How sure a line is."""

    SHOWN = "shown"
    """By hashes, signatures and what the verifier trusts by its own choice."""
    RESTS_ON = "rests on"
    """Somebody's word, who is named: attestors who recomputed, or a replay of the log."""
    NOT_SHOWN = "not shown"
    """The bundle, or what the verifier gave, is not enough."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the result; ``topic`` names it for programs."""

    topic: str
    standing: Standing
    text: str


@dataclass(slots=True)
class Findings:
    """Lines in the order of the path from record to payment."""

    lines: list[Finding] = field(default_factory=list)

    def shown(self, topic: str, text: str) -> None:
        self.lines.append(Finding(topic, Standing.SHOWN, text))

    def rests_on(self, topic: str, text: str) -> None:
        self.lines.append(Finding(topic, Standing.RESTS_ON, text))

    def not_shown(self, topic: str, text: str) -> None:
        self.lines.append(Finding(topic, Standing.NOT_SHOWN, text))

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left open but what rests on somebody named."""
        return all(line.standing is not Standing.NOT_SHOWN for line in self.lines)


@dataclass(frozen=True, slots=True)
class Trust:
    """What the verifier takes as given, from a source of its own.

    Attributes:
        chain_id, event_log, escrow: of the verifier's deployment file; None: not compared.
        attestors: whom the deployment names.
        blocks: hashes of blocks that are part of the chain; None: of none it is known.
        source: who says so, for the reader.
    """

    chain_id: int | None = None
    event_log: Address | None = None
    escrow: Address | None = None
    attestors: Collection[Address] = ()
    blocks: Collection[Hash] | None = None
    source: str = "nobody"
