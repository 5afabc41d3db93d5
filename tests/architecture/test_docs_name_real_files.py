"""Paths, commands, settings and targets that the prose names are there."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from adtally.cli import app
from adtally.config import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = runpy.run_path(str(ROOT / "tests" / "doc_examples.py"))
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs" / "ARCHITECTURE.md",
    ROOT / "docs" / "RELIABILITY.md",
    *sorted((ROOT / "docs" / "operating").glob("*.md")),
]
# What a name in code font may begin with to be a path from the root, or from the package.
TOP = ("backend", "contracts", "docs", "hardhat-local", "scripts", "tests")
PACKAGE = ROOT / "backend" / "adtally"
# Only on a machine where something has run.
MADE = ("hardhat-local/node_modules",)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?\Z")
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code_spans(page: Path) -> list[str]:
    """What stands in code font in the prose, outside of fenced blocks."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in _CODE.findall(text)]


def named_paths(page: Path) -> list[str]:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    found = []
    for span in code_spans(page):
        if not _PATH.match(span) or span.startswith(MADE):
            continue
        first = span.partition("/")[0]
        is_file = span.endswith((".py", ".sol", ".md"))
        if is_file or ("/" in span and first in (*TOP, *rooms)):
            found.append(span)
    return found


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_page__paths_in_code_font__exist(page: Path) -> None:
    missing = [
        path
        for path in named_paths(page)
        if not (ROOT / path).exists() and not (PACKAGE / path).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_page__adtally_commands_and_options__are_the_cli_s(page: Path) -> None:
    lines = code_spans(page)
    for block in DOCS["blocks"](page):
        if block.info in ("sh", "sh example"):
            lines += DOCS["shell_commands"](block)
    called = [words for line in lines if (words := _words_of_adtally(line))]
    unknown = [words[0] for words in called if words[0] not in COMMANDS]
    assert not unknown
    for name, *words in called:
        options = {text for option in COMMANDS[name].params for text in option.opts}
        wrong = [word for word in words if word.startswith("--") and word not in options]
        assert not wrong, name


def _words_of_adtally(line: str) -> list[str]:
    """Command and arguments of a call of the CLI; nothing for other lines."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return []
    while words and re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    is_call = len(words) > 1 and words[0] == "adtally" and not words[1].startswith("-")
    return words[1:] if is_call else []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_page__make_targets__are_the_makefile_s(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = code_spans(page)
    for block in DOCS["blocks"](page):
        if block.info in ("sh", "sh example"):
            lines += DOCS["shell_commands"](block)
    named = {words[1] for line in lines if (words := line.split())[:1] == ["make"] and words[1:]}
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_page__python_examples__take_nothing_from_the_demo(page: Path) -> None:
    blocks = [block.text for block in DOCS["blocks"](page) if block.info.startswith("python")]
    assert "adtally.demo" not in "".join(blocks)


def test_running_page__settings_table__has_every_setting_with_its_default() -> None:
    page = (ROOT / "docs" / "operating" / "running.md").read_text()
    rows = dict(re.findall(r"^\| `ADTALLY_([A-Z_]+)` \| ([^|]+) \|", page, re.MULTILINE))
    assert set(rows) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if field.default is not None:
            written = rows[name.upper()].strip().strip("`").replace(",", "")
            assert written == str(field.default), name
