"""A copy of contracts and tests in which mutants are tried, one at a time."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Literal

from adtally.chain.node_tools import node_binary, node_modules

from .mutants import Mutant, mutated
from .tools import (
    ROOT,
    ToolFailed,
    emptied,
    environment,
    failed,
    failing_lines,
    forge_binary,
    python,
    run,
)

Verdict = Literal["caught", "survived", "equivalent", "broken"]
"""``equivalent``: the compiler made the same code of it. ``broken``: it does not compile."""

_FAST = ["--no-match-path", "tests/contracts/{gas,invariant,symbolic}/**"]
_INVARIANTS = ["--match-path", "tests/contracts/invariant/**"]
_TIMEOUT_SECONDS = 300
_COMPILER_LIFE = 150
"""Compilations after which the compiler is started afresh: its memory is never given back."""

# Neither optimizer nor IR: compiling is most of the work. Tests link to contracts when they run, so
# a changed contract does not recompile them. A mutant that loops for ever runs out of this gas.
_SETTINGS = {
    "via_ir": "false",
    "optimizer": "false",
    "dynamic_test_linking": "true",
    "gas_limit": "4000000000",
    "invariant_shrink_run_limit": "0",
}


class Shard:
    """Use as a context manager: it runs a compiler of its own."""

    def __init__(self, folder: Path) -> None:
        self._tree = emptied(folder)
        self._env = environment(folder / "build", **_SETTINGS)
        self._sockets = Path(tempfile.mkdtemp(prefix="adtally-solc-"))
        self._compiler: subprocess.Popen[str] | None = None
        self._tried = 0
        self._code = ""

    def __enter__(self) -> Shard:
        for name in ("contracts", "tests/contracts"):
            shutil.copytree(ROOT / name, self._tree / name)
        shutil.copy(ROOT / "foundry.toml", self._tree)
        (self._tree / "hardhat-local").mkdir()
        (self._tree / "hardhat-local" / "node_modules").symlink_to(node_modules(ROOT))
        self._start_compiler()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop_compiler()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def check_baseline(self) -> None:
        """See that the tests pass before anything is changed. Raises ToolFailed."""
        for options in (_FAST, _INVARIANTS):
            done = self._forge(options)
            if done is None:
                raise ToolFailed(f"the tests, not mutated, take more than {_TIMEOUT_SECONDS} s")
            if done.returncode != 0:
                lines = failing_lines(done.stdout)
                if lines:
                    raise ToolFailed("tests fail that are to catch mutants:\n" + "\n".join(lines))
                raise failed("forge test", done)
        self._code = self._code_digest()

    def attempt(self, mutant: Mutant) -> Verdict:
        """Make the change, run the tests, take it back."""
        self._tried += 1
        if self._tried % _COMPILER_LIFE == 0:
            self._stop_compiler()
            self._start_compiler()
        path = self._tree / mutant.file
        source = path.read_bytes()
        path.write_bytes(mutated(source, mutant.start, mutant.end, mutant.text))
        try:
            return self._judge()
        finally:
            path.write_bytes(source)

    def _judge(self) -> Verdict:
        done = self._forge(_FAST)
        if done is None:
            return "caught"
        if done.returncode != 0:
            return "broken" if "Compiler run failed" in done.stdout + done.stderr else "caught"
        if self._code_digest() == self._code:
            return "equivalent"
        done = self._forge(_INVARIANTS)
        return "survived" if done is not None and done.returncode == 0 else "caught"

    def _forge(self, options: list[str]) -> subprocess.CompletedProcess[str] | None:
        """None if it took too long."""
        # Forge tries what failed last time first; that was another mutant's.
        shutil.rmtree(self._tree / "build" / "failures", ignore_errors=True)
        command: list[str | Path] = [forge_binary(), "test", "--fail-fast", *options]
        try:
            return run(command, self._env, cwd=self._tree, timeout_seconds=_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def _code_digest(self) -> str:
        """Of the code of everything that is compiled."""
        digest = hashlib.sha256()
        for path in sorted((self._tree / "build" / "out").rglob("*.json")):
            artifact = json.loads(path.read_text())
            if "bytecode" in artifact:
                digest.update(f"{path.name}\0{artifact['bytecode']['object']}\0".encode())
        return digest.hexdigest()

    def _start_compiler(self) -> None:
        address = self._sockets / f"{self._tried}"
        here = Path(__file__).parent
        compiler = node_modules(ROOT) / "solc"
        process = subprocess.Popen(
            [node_binary(), here / "warm_solc.cjs", address, compiler],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._compiler = process
        version = process.stdout.readline().strip() if process.stdout else ""
        if not version:
            raise ToolFailed("the compiler did not start")
        words = [python(), "-I", "-S", str(here / "solc_client.py"), str(address), version]
        script = self._tree / "hardhat-local" / "solc"
        script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        script.chmod(0o755)

    def _stop_compiler(self) -> None:
        if self._compiler is None:
            return
        self._compiler.kill()
        self._compiler.communicate()
        self._compiler = None
