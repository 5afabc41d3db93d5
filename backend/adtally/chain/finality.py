"""When a block counts as final: a policy of the chain, since nodes' ``finalized`` tags differ.

Besu QBFT and geth Clique answer an error to ``finalized``; hardhat says latest; anvil lags 64.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from adtally.errors import InvalidInput
from adtally.types import Hash


class FinalityKind(Enum):
    """How finality is decided."""

    INSTANT = "instant"
    """Every block is final (QBFT; hardhat, which has no reorgs)."""
    CONFIRMATIONS = "confirmations"
    """A block is final once ``confirmations`` blocks stand on it."""
    DUMPED = "dumped"
    """A block is final once the local node's state dump on disk contains it."""


@dataclass(frozen=True, slots=True)
class Finality:
    """The policy. ``confirmations`` and ``marker`` (a file) belong to their kinds."""

    kind: FinalityKind = FinalityKind.INSTANT
    confirmations: int = 0
    marker: Path | None = None

    def to_json(self, folder: Path | None = None) -> dict[str, object]:
        """As it stands in a deployment file in ``folder``, from where the marker is named."""
        marker = self.marker
        if marker is not None and folder is not None:
            marker = Path(os.path.relpath(marker, folder))
        return {
            "kind": self.kind.value,
            "confirmations": self.confirmations,
            "marker": None if marker is None else str(marker),
        }

    @staticmethod
    def from_json(value: object, folder: Path) -> Finality:
        """Parse; a relative marker path is relative to ``folder``. Raises InvalidInput."""
        try:
            if not isinstance(value, dict):
                raise TypeError("no object")
            kind = FinalityKind(value["kind"])
            confirmations = value.get("confirmations", 0)
            if not isinstance(confirmations, int) or not 0 <= confirmations <= 1_000_000:
                raise ValueError(f"confirmations {confirmations!r}")
            marker = value.get("marker")
            if (kind is FinalityKind.DUMPED) != isinstance(marker, str):
                raise ValueError(f"kind {kind.value} with marker {marker!r}")
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(
                "not a finality policy",
                field="finality",
                expected='{"kind": "instant" | "confirmations" | "dumped", "confirmations": n, '
                '"marker": path with dumped, else null}',
                found=str(error),
            ) from None
        return Finality(kind, confirmations, folder / marker if marker else None)


INSTANT = Finality()


@dataclass(frozen=True, slots=True)
class DumpMarker:
    """The newest block that the state dump on disk contains for sure."""

    number: int
    hash: Hash

    def to_text(self) -> str:
        return json.dumps({"block": self.number, "hash": "0x" + self.hash.hex()}) + "\n"


def read_marker(path: Path) -> DumpMarker | None:
    """The marker, None while there is none yet.

    Raises:
        InvalidInput: the file holds something else.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        value = json.loads(text)
        return DumpMarker(int(value["block"]), bytes.fromhex(value["hash"].removeprefix("0x")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            "not a dump marker",
            field=str(path),
            expected='{"block": n, "hash": "0x..."}',
            found=str(error),
            action="remove the file; the local node writes it anew at its next dump",
        ) from None
