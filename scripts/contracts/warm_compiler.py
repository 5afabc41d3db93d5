"""A Solidity compiler that stays, and what it needs to know of a tree of sources."""

from __future__ import annotations

import json
import posixpath
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from adtally.chain.node_tools import node_binary, node_modules

from .tools import ROOT, ToolFailed

_IMPORT = re.compile(r'^import\b[^;]*?"([^"]+)"\s*;', re.MULTILINE)
_REMAPPINGS = {
    "@openzeppelin/contracts/": "hardhat-local/node_modules/@openzeppelin/contracts/",
    "adtally/": "contracts/",
}
_LIFE = 500
"""Compilations after which it is started afresh: its memory is never given back."""

Target = tuple[str, str]
"""A contract: the path of its file, its name."""


class Sources:
    """The files below a folder, read once, and what each imports."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._texts: dict[str, str] = {}

    def text(self, path: str) -> str:
        """A file's text."""
        if path not in self._texts:
            self._texts[path] = (self._root / path).read_text()
        return self._texts[path]

    def closure(self, path: str) -> set[str]:
        """The file and all that it imports, directly or not."""
        seen: set[str] = set()
        left = [path]
        while left:
            one = left.pop()
            if one not in seen:
                seen.add(one)
                left += [_resolved(one, name) for name in _IMPORT.findall(self.text(one))]
        return seen


def _resolved(importer: str, name: str) -> str:
    for prefix, folder in _REMAPPINGS.items():
        if name.startswith(prefix):
            return folder + name.removeprefix(prefix)
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), name))


class WarmCompiler:
    """Compiles without optimizer and IR: quick, and the tests ask for no gas. A context manager."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._process: subprocess.Popen[str] | None = None
        self._compiled = 0

    def __enter__(self) -> WarmCompiler:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def creation_code(self, target: Target, changed: Mapping[str, str]) -> str | None:
        """The target's creation code in hex, with ``changed`` instead of the files of these paths.

        It depends on nothing but the files that the target imports. None if it does not compile.
        Raises ToolFailed if the compiler itself fails.
        """
        file, name = target
        answer = self._compile(
            {
                "language": "Solidity",
                "sources": {
                    path: {"content": changed.get(path) or self._sources.text(path)}
                    for path in sorted(self._sources.closure(file))
                },
                "settings": {
                    "remappings": [f"{name}={folder}" for name, folder in _REMAPPINGS.items()],
                    "optimizer": {"enabled": False},
                    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
                    "evmVersion": "london",
                    "outputSelection": {file: {name: ["evm.bytecode.object"]}},
                },
            }
        )
        if any(error["severity"] == "error" for error in answer.get("errors", [])):
            return None
        code: str = answer["contracts"][file][name]["evm"]["bytecode"]["object"]
        return code

    def _compile(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._compiled % _LIFE == 0:
            self._stop()
            self._start()
        self._compiled += 1
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise ToolFailed("the compiler did not start")
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise ToolFailed("the compiler stopped")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start(self) -> None:
        script = Path(__file__).with_name("warm_solc.cjs")
        self._process = subprocess.Popen(
            [node_binary(), script, node_modules(ROOT) / "solc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if not (self._process.stdout and self._process.stdout.readline()):
            raise ToolFailed("the compiler did not start")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
