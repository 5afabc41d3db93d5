"""Collects the examples of README.md and docs/ so that tests can run them.

A fenced block is an example when its info string says so. ``python example`` blocks are executed
by ``tests/unit/test_doc_examples.py``; those of one page share their names, top to bottom.
``sh example`` blocks are calls of curl, adtally or make that an end-to-end test runs against a live
service: ``runpy.run_path("tests/doc_examples.py")["examples"]("sh")``.

Load it with ``runpy.run_path``: the tests tree is no package.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
_FENCE = re.compile(r"^(`{3,})(.*)$")


class Block(NamedTuple):
    """A fenced block; ``line`` is that of its first line of content, from 1."""

    page: Path
    line: int
    info: str
    text: str


def pages() -> list[Path]:
    """README.md and every Markdown file under docs/."""
    front = [ROOT / name for name in ("README.md", "CONTRIBUTING.md") if (ROOT / name).exists()]
    return front + sorted((ROOT / "docs").rglob("*.md"))


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found: list[Block] = []
    fence, info, first, content = "", "", 0, []
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        match = _FENCE.match(line)
        if not fence:
            if match:
                fence, info, first, content = match[1], match[2].strip(), number + 1, []
        elif match and match[1] == fence and not match[2].strip():
            found.append(Block(page, first, info, "\n".join(content) + "\n"))
            fence = ""
        else:
            content.append(line)
    if fence:
        raise AssertionError(f"{page}: the block opened at line {first - 1} is never closed")
    return found


def examples(language: str) -> list[list[Block]]:
    """The example blocks of a language, a list per page that has any."""
    per_page = [
        [block for block in blocks(page) if block.info == f"{language} example"] for page in pages()
    ]
    return [found for found in per_page if found]


def shell_commands(block: Block) -> list[str]:
    """The commands of a ``sh example``: comments dropped, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", block.text)
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
