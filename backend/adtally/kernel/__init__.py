"""Intake's compiled half: rules, books, ids and hashes over arrays.

Nothing here decides anything by itself: ``verification`` and ``settlement`` say what is right, and
property tests hold the two together.

Compiled code is kept in a folder named after the sources that it comes from. Numba itself looks at
the file of the function that is called, not at those that it calls in turn: after an upgrade old
rules could go on judging.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from importlib.metadata import version
from pathlib import Path

import numba

_KEPT_SECONDS = 30 * 86_400
_HERE = Path(__file__).parent
_READ_AS_CONSTANTS = [
    _HERE.parent / name for name in ("events", "verification", "settlement", "rfc9162.py")
]


def _sources_digest() -> str:
    """Of every source that compiled code is made from, and of the compiler."""
    digest = hashlib.sha256(f"{numba.__version__} {version('llvmlite')}".encode())
    files = [path for each in (_HERE, *_READ_AS_CONSTANTS) for path in _python_files(each)]
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _python_files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.glob("*.py"))


def _cache_folder() -> Path:
    """For what is compiled from these very sources; old ones of others are removed."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    parent = Path(given) if given else _HERE / "__pycache__"
    if not given and not os.access(_HERE, os.W_OK):
        parent = Path.home() / ".cache" / "adtally"
    folder = parent / f"compiled-{SOURCES}"
    for other in parent.glob("compiled-*"):
        # Not at once: a service of another version may be running from it.
        if other != folder and other.stat().st_mtime < time.time() - _KEPT_SECONDS:
            shutil.rmtree(other, ignore_errors=True)
    return folder


SOURCES = _sources_digest()
"""Names this version of the rules, their tables and their compiler."""

numba.config.CACHE_DIR = str(_cache_folder())  # type: ignore[attr-defined]
