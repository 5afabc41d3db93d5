"""Tests that take the code of the contracts from Forge's artifacts, not from their own code.

In Solidity ``new EventLog(...)`` copies all of EventLog's code into whoever says it, so that a
change to one contract means compiling every test: most of a mutant's time. Here the tests are
rewritten to ask Forge for the code when they run; a mutant then is one contract compiled and its
artifact replaced. (Forge's own ``dynamic_test_linking`` left these tests as they were.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_HELPER = """
    function _linked(string memory artifact, bytes memory arguments) internal returns (address at) {
        bytes memory code = abi.encodePacked(vm.getCode(artifact), arguments);
        assembly {
            at := create(0, add(code, 0x20), mload(code))
            if iszero(at) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }
"""
_VM = "interface Vm {"
_BASE = "abstract contract Test {"


def linked(text: str, artifacts: Mapping[str, str]) -> str:
    """A test's source with each ``new NAME(...)`` of ``artifacts`` linked when it runs.

    ``artifacts``: a contract's name and its artifact's, ``contracts/EventLog.sol:EventLog``.
    """
    names = "|".join(artifacts)
    found = re.compile(rf"\bnew ({names})\(").search(text)
    while found:
        name, start, end = found[1], found.end(), _closing(text, found.end())
        call = f'{name}(_linked("{artifacts[name]}", abi.encode({text[start:end]})))'
        text = text[: found.start()] + call + text[end + 1 :]
        found = re.compile(rf"\bnew ({names})\(").search(text)
    return text


def linking_base(text: str) -> str:
    """tests/contracts/support/Test.sol with what ``linked`` calls.

    Raises:
        ValueError: it does not look as expected.
    """
    if text.count(_VM) != 1 or text.count(_BASE) != 1:
        raise ValueError(f"Test.sol: expected one {_VM!r} and one {_BASE!r}")
    text = text.replace(
        _VM, f"{_VM}\n    function getCode(string calldata) external returns (bytes memory);"
    )
    return text.replace(_BASE, _BASE + _HELPER)


def _closing(text: str, start: int) -> int:
    """Where the bracket closes that was opened before ``start``."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    raise ValueError("a bracket is not closed")
