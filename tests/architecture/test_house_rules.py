"""The house rules that a machine can check."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "backend" / "adtally"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FUNCTION_LINES = 70
MONEY_ROOMS = ("events", "verification", "settlement", "audit", "attestation", "storage")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_files__exist() -> None:
    assert len(FILES) > 100


@pytest.mark.parametrize("path", FILES, ids=name)
def test_functions__fit_a_screen(path: Path) -> None:
    long = {
        function.name: function.end_lineno - function.lineno + 1
        for function in functions(path)
        if function.end_lineno is not None
        and function.end_lineno - function.lineno >= MAX_FUNCTION_LINES
    }
    assert not long, f"functions of {MAX_FUNCTION_LINES} lines or more: {long}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_modules__say_what_they_are(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "a module begins with a docstring"


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.relative_to(PACKAGE).parts[0] in MONEY_ROOMS], ids=name
)
def test_money_rooms__know_no_float(path: Path) -> None:
    tree = ast.parse(path.read_text())
    floats = [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and not _is_path(node))
    ]
    assert not floats, f"floats or true division in lines {floats}"


def _is_path(node: ast.BinOp) -> bool:
    """Joining paths uses the same operator; its right side is text."""
    return isinstance(node.right, ast.Constant | ast.JoinedStr) or (
        isinstance(node.right, ast.Name) and node.right.id.isupper()
    )


def test_imports__flow_one_way() -> None:
    finished = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
