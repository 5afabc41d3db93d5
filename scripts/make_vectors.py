"""Writes the test vectors of the specification, ``docs/spec/vectors/*.json``.

Everything comes from fixed inputs: running it twice gives the same bytes. A test compares the
committed files with what this script builds, and others check them without this package's code.

    python scripts/make_vectors.py            write the files
    python scripts/make_vectors.py --check    exit 1 if a committed file differs
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vectors.batches import batch_vectors
from vectors.corrections import correction_vectors
from vectors.envelopes import envelope_vectors
from vectors.facts import facts_vectors
from vectors.hits import hit_vectors
from vectors.log import log_vectors
from vectors.money import money_vectors
from vectors.proof_bundles import proof_bundle_vectors
from vectors.records import record_vectors
from vectors.replay import replay_vectors
from vectors.signatures import signature_vectors
from vectors.verdicts import verdict_vectors

VECTORS = Path(__file__).resolve().parent.parent / "docs" / "spec" / "vectors"

BUILDERS: dict[str, Callable[[], dict[str, Any]]] = {
    "records.json": record_vectors,
    "envelope.json": envelope_vectors,
    "facts.json": facts_vectors,
    "batches.json": batch_vectors,
    "signatures.json": signature_vectors,
    "log.json": log_vectors,
    "money.json": money_vectors,
    "verdicts.json": verdict_vectors,
    "replay.json": replay_vectors,
    "corrections.json": correction_vectors,
    "hits.json": hit_vectors,
    "proof-bundle.json": proof_bundle_vectors,
}


def render(name: str) -> str:
    """The text of one vector file."""
    return json.dumps(BUILDERS[name](), indent=1, ensure_ascii=True) + "\n"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Write the specification's test vectors.")
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    check: bool = parser.parse_args(arguments).check
    stale = []
    for name in BUILDERS:
        path, text = VECTORS / name, render(name)
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    verb = "differs" if check else "written"
    for name in stale:
        print(f"{name}: {verb}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
