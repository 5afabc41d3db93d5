"""Compile the contracts with the pinned compiler, through py-solc-x; cached by source hash."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import solcx

from adtally.chain.files import write_atomically
from adtally.chain.node_tools import node_binary, node_modules
from adtally.errors import InvalidInput, NotFound

EVM_VERSION = "london"
"""One bytecode for hardhat, anvil, Clique, Besu and older consortium networks."""

SETTINGS: dict[str, Any] = {
    "evmVersion": EVM_VERSION,
    "optimizer": {"enabled": True, "runs": 1000},
    "viaIR": True,
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
    "outputSelection": {
        "*": {
            "*": [
                "abi",
                "evm.bytecode.object",
                "evm.deployedBytecode.object",
                "evm.deployedBytecode.immutableReferences",
            ]
        }
    },
}
_FROM_NPM = ("@openzeppelin/contracts/access/manager/AccessManager.sol",)
"""Deployed by us but imported by none of our sources."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract.

    Attributes:
        bytecode: its creation code without constructor arguments.
        runtime: its code on chain, with zeros where immutables stand.
        immutables: offset and length of each place in ``runtime`` that the constructor fills in.
    """

    name: str
    source: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime: bytes
    immutables: tuple[tuple[int, int], ...]

    def is_code(self, code: bytes) -> bool:
        """Whether code on chain is this contract, whatever its constructor was given."""
        if len(code) != len(self.runtime):
            return False
        masked = bytearray(code)
        for start, length in self.immutables:
            masked[start : start + length] = bytes(length)
        return bytes(masked) == self.runtime


def compile_contracts(project_root: Path) -> dict[str, Artifact]:
    """Every contract and interface under ``contracts/``, and AccessManager, by name.

    Raises:
        NotFound: no sources or no compiler here (an installed package, or npm parts missing).
        InvalidInput: the sources do not compile; the compiler's messages are in it.
    """
    sources = _read_sources(project_root)
    key = _cache_key(project_root, sources)
    cache = project_root / "build" / "artifacts" / f"{key[:32]}.json"
    try:
        return _from_json(json.loads(cache.read_text()))
    except (OSError, ValueError, KeyError):
        pass  # not compiled yet, or a cache that was damaged: make it anew
    artifacts = _compile(project_root, sources)
    write_atomically(cache, json.dumps(_to_json(artifacts)).encode())
    return artifacts


def _read_sources(project_root: Path) -> dict[str, str]:
    folder = project_root / "contracts"
    files = sorted(folder.rglob("*.sol"))
    if not files:
        raise NotFound(
            "the contracts' sources are not here",
            expected=f"Solidity files in {folder}",
            found="none",
            action="run this in a checkout of the repository",
        )
    sources = {f"adtally/{file.relative_to(folder).as_posix()}": file.read_text() for file in files}
    npm = node_modules(project_root)
    return sources | {name: (npm / name).read_text() for name in _FROM_NPM}


def _cache_key(project_root: Path, sources: dict[str, str]) -> str:
    # The lock file stands for the compiler and for everything imported from npm.
    lock = (project_root / "hardhat-local" / "package-lock.json").read_text()
    text = json.dumps([SETTINGS, sources, lock], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _compile(project_root: Path, sources: dict[str, str]) -> dict[str, Artifact]:
    folder = project_root / "hardhat-local"
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": SETTINGS,
    }
    try:
        with _node_named():
            output = solcx.compile_standard(
                request, solc_binary=folder / "solc", base_path=str(node_modules(project_root))
            )
    except solcx.exceptions.SolcError as error:
        raise InvalidInput(
            "the contracts do not compile",
            field="contracts",
            expected=f"sources that solc compiles for {EVM_VERSION}",
            found=str(error.stdout_data or error)[:4000],
            action="correct the sources",
        ) from None
    return {
        name: _artifact(name, source, contract)
        for source, contracts in output["contracts"].items()
        if source in sources
        for name, contract in contracts.items()
    }


def _artifact(name: str, source: str, contract: Any) -> Artifact:
    deployed = contract["evm"]["deployedBytecode"]
    places = [each for places in deployed["immutableReferences"].values() for each in places]
    return Artifact(
        name,
        source,
        contract["abi"],
        bytes.fromhex(contract["evm"]["bytecode"]["object"]),
        bytes.fromhex(deployed["object"]),
        tuple(sorted((place["start"], place["length"]) for place in places)),
    )


@contextlib.contextmanager
def _node_named() -> Iterator[None]:
    """Tell the compiler's wrapper which Node to run; py-solc-x passes no environment on."""
    before = os.environ.get("ADTALLY_NODE")
    os.environ["ADTALLY_NODE"] = node_binary()
    try:
        yield
    finally:
        if before is None:
            del os.environ["ADTALLY_NODE"]
        else:
            os.environ["ADTALLY_NODE"] = before


def _to_json(artifacts: dict[str, Artifact]) -> dict[str, Any]:
    return {
        name: {
            "source": a.source,
            "abi": a.abi,
            "bytecode": a.bytecode.hex(),
            "runtime": a.runtime.hex(),
            "immutables": a.immutables,
        }
        for name, a in artifacts.items()
    }


def _from_json(value: dict[str, Any]) -> dict[str, Artifact]:
    return {
        name: Artifact(
            name,
            a["source"],
            a["abi"],
            bytes.fromhex(a["bytecode"]),
            bytes.fromhex(a["runtime"]),
            tuple((start, length) for start, length in a["immutables"]),
        )
        for name, a in value.items()
    }
