"""A copy of contracts and tests in which mutants are tried, one at a time."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal

from adtally.chain.node_tools import node_modules

from .linked_tests import linked, linking_base
from .mutants import Mutant, mutated
from .tools import ROOT, ToolFailed, emptied, environment, failed, failing_lines, forge_binary, run
from .warm_compiler import Sources, Target, WarmCompiler

Verdict = Literal["caught", "survived", "equivalent", "broken"]
"""``equivalent``: the compiler made the same code of it. ``broken``: it does not compile."""

_DEPLOYED = ("CampaignEscrow", "EventLog", "Membership", "OperatorBond")
"""What the tests deploy; the other contracts are parts of these."""

_FAST = ["--no-match-path", "tests/contracts/invariant/**"]
_INVARIANTS = ["--match-path", "tests/contracts/invariant/**"]
_INVALID = "fe"
"""Creation code that fails at once."""

_LEFT_OUT = ("gas", "symbolic")
_TIMEOUT_SECONDS = 300

# A mutant that loops for ever runs out of this gas.
_SETTINGS = {
    "via_ir": "false",
    "optimizer": "false",
    "gas_limit": "4000000000",
    "invariant_shrink_run_limit": "0",
    "invariant_runs": "4",
}


class Shard:
    """Use as a context manager: it runs a compiler of its own.

    Contracts and tests are compiled once. A mutant then replaces the code in the artifacts of the
    contracts that contain the changed file; see linked_tests.py.
    """

    def __init__(self, folder: Path) -> None:
        self._tree = emptied(folder)
        self._env = environment(folder / "build", **_SETTINGS)
        self._sources = Sources(folder)
        self._compiler = WarmCompiler(self._sources)
        self._targets: list[Target] = []
        self._code: dict[Target, str] = {}

    def __enter__(self) -> Shard:
        for name in ("contracts", "tests/contracts"):
            shutil.copytree(
                ROOT / name, self._tree / name, ignore=shutil.ignore_patterns(*_LEFT_OUT)
            )
        shutil.copy(ROOT / "foundry.toml", self._tree)
        local = self._tree / "hardhat-local"
        local.mkdir()
        (local / "node_modules").symlink_to(node_modules(ROOT))
        for name in ("solc", "solc.cjs", "package.json"):
            shutil.copy(ROOT / "hardhat-local" / name, local)
        self._link_tests()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._compiler.__exit__(kind, error, trace)

    def check_baseline(self) -> None:
        """See that the tests pass before anything is changed, and see every change.

        Raises:
            ToolFailed: they don't.
        """
        for options in (_FAST, _INVARIANTS):
            done = self._forge(options)
            if done is None:
                raise ToolFailed(f"the tests, not mutated, take more than {_TIMEOUT_SECONDS} s")
            if done.returncode != 0:
                lines = failing_lines(done.stdout)
                if lines:
                    raise ToolFailed("tests fail that are to catch mutants:\n" + "\n".join(lines))
                raise failed("forge test", done)
        for target in self._targets:
            code = self._compiler.creation_code(target, {})
            if code is None:
                raise ToolFailed(f"{target}, not mutated, does not compile")
            self._code[target] = code
            self._replace({target: code})
        if self._catches(_FAST):
            raise ToolFailed("the tests fail on code that is compiled without Forge")
        for target in self._targets:
            self._replace({target: _INVALID})
            if not self._catches(_FAST):
                raise ToolFailed(f"no test notices that {target} is replaced")
            self._restore([target])

    def attempt(self, mutant: Mutant) -> Verdict:
        """Make the change, run the tests, take it back."""
        source = self._sources.text(mutant.file).encode()
        change = mutated(source, mutant.start, mutant.end, mutant.text).decode()
        made: dict[Target, str] = {}
        for target in self._containing(mutant.file):
            code = self._compiler.creation_code(target, {mutant.file: change})
            if code is None:
                return "broken"
            if code != self._code[target]:
                made[target] = code
        if not made:
            return "equivalent"
        try:
            self._replace(made)
            return "caught" if self._catches(_FAST) or self._catches(_INVARIANTS) else "survived"
        finally:
            self._restore(made)

    def _containing(self, file: str) -> list[Target]:
        found = [target for target in self._targets if file in self._sources.closure(target[0])]
        if not found:
            raise ToolFailed(f"{file}: no contract that is deployed contains it")
        return found

    def _link_tests(self) -> None:
        """Let the tests link when they run, and find out which contracts a mutant can be in."""
        artifacts = {name: f"contracts/{name}.sol:{name}" for name in _DEPLOYED}
        self._targets = [(f"contracts/{name}.sol", name) for name in _DEPLOYED]
        tests = self._tree / "tests" / "contracts"
        for path in tests.rglob("*.sol"):
            text = path.read_text()
            path.write_text(linked(text, artifacts))
            if path.parent.name == "fuzz":
                # They contain the libraries that they test.
                file = path.relative_to(self._tree).as_posix()
                self._targets += [
                    (file, name)
                    for name in re.findall(r"^contract (\w+Test)\b", text, re.MULTILINE)
                ]
        base = tests / "support" / "Test.sol"
        base.write_text(linking_base(base.read_text()))

    def _catches(self, options: list[str]) -> bool:
        """Raises ToolFailed if Forge fails and names no test."""
        done = self._forge(options)
        if done is None or done.returncode == 0:
            return done is None
        if not failing_lines(done.stdout):
            raise failed("forge test", done)
        return True

    def _forge(self, options: list[str]) -> subprocess.CompletedProcess[str] | None:
        """None if it took too long."""
        # Forge tries what failed last time first; that was another mutant's.
        shutil.rmtree(self._tree / "build" / "failures", ignore_errors=True)
        command: list[str | Path] = [forge_binary(), "test", "-j", "1", "--fail-fast", *options]
        try:
            return run(command, self._env, cwd=self._tree, timeout_seconds=_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def _replace(self, codes: Mapping[Target, str]) -> None:
        for (file, name), code in codes.items():
            path = self._tree / "build" / "out" / Path(file).name / f"{name}.json"
            artifact = json.loads(path.read_text())
            artifact["bytecode"]["object"] = f"0x{code}"
            path.write_text(json.dumps(artifact))

    def _restore(self, targets: Iterable[Target]) -> None:
        self._replace({target: self._code[target] for target in targets})
