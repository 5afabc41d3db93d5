"""The examples in README.md and docs/ do what they say; links lead somewhere."""

from __future__ import annotations

import doctest
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = runpy.run_path(str(ROOT / "tests" / "doc_examples.py"))
# No bare "python": code that nobody runs goes stale.
INFO_STRINGS = {"", "python example", "sh example", "sh", "json", "solidity", "mermaid", "text"}
COMMANDS = ("curl ", "adtally ", "make ", "pip ", "python ", "git ", "npm ", ". ", "export ")


def page_id(value: Any) -> str:
    path = value[0].page if isinstance(value, list) else value
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("blocks", DOCS["examples"]("python"), ids=page_id)
def test_python_examples__of_a_page__run(
    blocks: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {"__name__": "example"}
    for block in blocks:
        if ">>>" in block.text:
            run_doctest(block, names)
        else:
            # Blank lines in front make tracebacks name the line of the page.
            padded = "\n" * (block.line - 1) + block.text
            exec(compile(padded, str(block.page), "exec"), names)


def run_doctest(block: Any, names: dict[str, Any]) -> None:
    """Run a ``>>>`` block; its names stay for the blocks after it."""
    test = doctest.DocTestParser().get_doctest(
        block.text, names, page_id(block.page), str(block.page), block.line
    )
    report: list[str] = []
    doctest.DocTestRunner().run(test, out=report.append, clear_globs=False)
    assert not report, "".join(report)
    names.update(test.globs)


@pytest.mark.parametrize("blocks", DOCS["examples"]("sh"), ids=page_id)
def test_shell_examples__of_a_page__are_calls_a_user_can_make(blocks: list[Any]) -> None:
    for block in blocks:
        for command in DOCS["shell_commands"](block):
            assert command.startswith(COMMANDS), f"{block.page}:{block.line}: {command}"


@pytest.mark.parametrize("page", DOCS["pages"](), ids=page_id)
def test_page__fenced_blocks__say_what_they_are(page: Path) -> None:
    for block in DOCS["blocks"](page):
        assert block.info in INFO_STRINGS, f"{page}:{block.line}: {block.info!r}"


@pytest.mark.parametrize("page", DOCS["pages"](), ids=page_id)
def test_page__relative_links__lead_to_a_file_and_heading(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page}: {target}"


def anchors(page: Path) -> set[str]:
    """Heading anchors as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
