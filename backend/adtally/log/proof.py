"""Verification of Merkle proofs as RFC 9162 writes it (2.1.3.2 and 2.1.4.2).

Pure functions for clients, auditors and attestors; nothing here trusts the log.
"""

from __future__ import annotations

from collections.abc import Sequence

from adtally.errors import VerificationFailed
from adtally.rfc9162 import HASH_SIZE, node_hash
from adtally.types import Hash


def verify_inclusion(
    leaf_hash: Hash, index: int, size: int, proof: Sequence[Hash], root: Hash
) -> None:
    """Raises VerificationFailed unless the leaf stands at ``index`` of the tree (size, root)."""
    if not 0 <= index < size:
        raise _failed("inclusion", f"an index below the tree size {size}", str(index))
    _check_lengths("inclusion", [leaf_hash, root, *proof])
    node, last = index, size - 1
    value = leaf_hash
    for sibling in proof:
        if last == 0:
            raise _failed("inclusion", "a shorter proof", f"{len(proof)} hashes")
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while node & 1 == 0 and node:
                node >>= 1
                last >>= 1
        else:
            value = node_hash(value, sibling)
        node >>= 1
        last >>= 1
    if last:
        raise _failed("inclusion", "a longer proof", f"{len(proof)} hashes")
    _check_root("inclusion", root, value)


def verify_consistency(
    first: int, second: int, first_root: Hash, second_root: Hash, proof: Sequence[Hash]
) -> None:
    """Raises VerificationFailed unless the tree (second, second_root) extends the first.

    Size 0 is refused, as RFC 9162 does: an empty tree has nothing to prove, so the caller who
    starts from nothing must say so itself instead of passing an unchecked root here.
    """
    if not 0 < first <= second:
        raise _failed("consistency", "sizes 0 < first <= second", f"{first} and {second}")
    _check_lengths("consistency", [first_root, second_root, *proof])
    if first == second:
        if proof:
            raise _failed("consistency", "an empty proof for equal sizes", f"{len(proof)} hashes")
        _check_root("consistency", first_root, second_root)
        return
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        raise _failed("consistency", "a longer proof", "0 hashes")
    old, new = _walk_consistency(first - 1, second - 1, path)
    _check_root("consistency", first_root, old)
    _check_root("consistency", second_root, new)


def _walk_consistency(node: int, last: int, path: Sequence[Hash]) -> tuple[Hash, Hash]:
    """The old and the new root that ``path`` leads to; its first hash is in both trees."""
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise _failed("consistency", "a shorter proof", f"{len(path)} hashes")
        if node & 1 or node == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while node & 1 == 0 and node:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        node >>= 1
        last >>= 1
    if last:
        raise _failed("consistency", "a longer proof", f"{len(path)} hashes")
    return old, new


def _check_lengths(what: str, hashes: Sequence[Hash]) -> None:
    for each in hashes:
        if len(each) != HASH_SIZE:
            raise _failed(what, f"hashes of {HASH_SIZE} bytes", f"{len(each)} bytes")


def _check_root(what: str, expected: Hash, found: Hash) -> None:
    if expected != found:
        raise _failed(what, f"root {expected.hex()}", f"root {found.hex()}")


def _failed(what: str, expected: str, found: str) -> VerificationFailed:
    return VerificationFailed(
        f"the {what} proof does not verify",
        field="proof",
        expected=expected,
        found=found,
        action="check sizes and roots; if they are right, keep both: the log is lying",
    )
