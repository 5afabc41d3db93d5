"""Lists what Slither's mutators would change. Runs in the tools' environment, not in adtally's.

    build/contracts/venv/bin/python scripts/contracts/list_mutants.py BUILD_FOLDER OUTPUT

``slither-mutate`` itself changes files in place, one after the other, compiles each change with a
solc of its own and starts over after a break. So only its mutators are used; what they find goes to
OUTPUT as JSON, and campaign.py tries it. The working directory is the project's, BUILD_FOLDER is
where ``forge build --ast --build-info`` wrote to.
"""

import inspect
import json
import sys
from pathlib import Path

from slither import Slither
from slither.tools.mutator.mutators import all_mutators
from slither.tools.mutator.mutators.abstract_mutator import AbstractMutator

FOLDERS = ("contracts", "contracts/escrow", "contracts/libraries")


def mutators() -> list:
    """All of them; the two that remove or revert a whole statement first, as slither-mutate."""
    found = [
        kind
        for _, kind in inspect.getmembers(all_mutators, inspect.isclass)
        if issubclass(kind, AbstractMutator) and kind is not AbstractMutator
    ]
    return sorted(found, key=lambda kind: ({"RR": 0, "CR": 1}.get(kind.NAME, 2), kind.NAME))


class Narrowed:
    """Anything of Slither's, with some of its attributes replaced."""

    def __init__(self, whole, **replaced) -> None:
        self._whole = whole
        self.__dict__.update(replaced)

    def __getattr__(self, name: str):
        return getattr(self._whole, name)


def patches(unit, contract, root: Path) -> list[dict]:
    """Changes to one contract; ``start`` and ``end`` are offsets in bytes."""
    found = []
    for kind in mutators():
        for result in results(kind, unit, contract):
            for file, changes in result.get("patches", {}).items():
                found += [
                    {
                        "file": Path(file).relative_to(root).as_posix(),
                        "start": change["start"],
                        "end": change["end"],
                        "text": change["new_string"],
                        "mutator": kind.NAME,
                    }
                    for change in changes
                ]
    return found


def results(kind, unit, contract) -> list[dict]:
    """What one mutator finds. Where it stumbles, it goes node by node, so that it misses little."""

    def once(functions: list, variables: list) -> dict:
        part = Narrowed(
            contract, functions_and_modifiers_declared=functions, state_variables_declared=variables
        )
        return kind(unit, 0, "", "", part, None, False, Path(), [])._mutate()

    found = [once([], contract.state_variables_declared)]
    for function in contract.functions_and_modifiers_declared:
        try:
            found.append(once([function], []))
            continue
        except Exception as problem:
            print(f"{kind.NAME} failed on {contract.name}.{function.name}: {problem!r}")
        for node in function.nodes:
            try:
                found.append(once([Narrowed(function, nodes=[node])], []))
            except Exception as problem:
                line = node.source_mapping.lines[0]
                print(f"{kind.NAME} failed on {contract.name}:{line}: {problem!r}")
    return found


def main(build: str, output: str) -> None:
    root = Path.cwd()
    slither = Slither(
        ".",
        compile_force_framework="Foundry",
        ignore_compile=True,
        foundry_out_directory=build,
    )
    found = []
    for unit in slither.compilation_units:
        for contract in unit.contracts:
            file = Path(contract.source_mapping.filename.absolute)
            inside = root in file.parents and file.parent.relative_to(root).as_posix() in FOLDERS
            if inside and not contract.is_interface:
                found += patches(unit, contract, root)
    Path(output).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
