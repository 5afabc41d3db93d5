"""Statements that this attestor has recomputed: all lines with their proofs, a file each."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adtally.attestation.documents import line_json, parse_lines, parse_statement, statement_json
from adtally.chain.files import write_atomically
from adtally.settlement.claim_tree import ClaimTree
from adtally.types import Hash, Line, Statement

_NAME = re.compile(r"(?P<sequence>[0-9]+)-[0-9a-f]{16}\.json\Z")


class StatementStore:
    """Files ``<campaign>/<sequence>-<digest>.json``: one statement each, never changed.

    Another one of the same sequence may come beside it: a quorum of the others may settle what
    this attestor did not sign.
    """

    def __init__(self, folder: Path, escrow_domain: Hash) -> None:
        self._folder = folder
        self._escrow_domain = escrow_domain

    def keep(self, statement: Statement, digest: Hash, lines: Sequence[Line]) -> None:
        """Store a statement with its lines; durable on return."""
        path = self._path(statement, digest)
        if path.exists():
            return
        tree = ClaimTree(self._escrow_domain, statement.campaign, lines)
        document = statement_json(statement) | {
            "lines": [
                line_json(line)
                | {"proof": [f"0x{node.hex()}" for node in tree.proof(line.publisher)]}
                for line in lines
            ]
        }
        write_atomically(path, json.dumps(document).encode())

    def has(self, statement: Statement, digest: Hash) -> bool:
        """Whether it is here."""
        return self._path(statement, digest).exists()

    def campaigns(self) -> list[int]:
        """Campaigns that have a statement here."""
        if not self._folder.exists():
            return []
        return sorted(int(each.name) for each in self._folder.iterdir() if each.name.isdecimal())

    def of_campaign(self, campaign: int) -> list[dict[str, Any]]:
        """The campaign's statements as they are published, by sequence."""
        folder = self._folder / str(campaign)
        if not folder.exists():
            return []
        named = [(match, path) for path in folder.iterdir() if (match := _NAME.match(path.name))]
        named.sort(key=lambda pair: (int(pair[0]["sequence"]), pair[1].name))
        return [json.loads(path.read_text()) for _, path in named]

    def find(self, campaign: int, sequence: int) -> list[dict[str, Any]]:
        """Those of one sequence."""
        folder = self._folder / str(campaign)
        return [json.loads(path.read_text()) for path in sorted(folder.glob(f"{sequence}-*.json"))]

    def _path(self, statement: Statement, digest: Hash) -> Path:
        name = f"{statement.sequence}-{digest.hex()[:16]}.json"
        return self._folder / str(statement.campaign) / name


def read_statement(document: Any) -> tuple[Statement, list[Line]]:
    """Statement and lines of a published document; raises InvalidInput. Nothing is verified."""
    statement = parse_statement(document)
    return statement, parse_lines(document.get("lines"))
