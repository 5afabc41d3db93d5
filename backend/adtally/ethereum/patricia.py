"""Merkle Patricia tries (Yellow Paper, appendix D): proofs checked, and built for small tries.

A node of less than 32 bytes stands inside its parent; any other is named there by its keccak hash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eth_hash.auto import keccak

from adtally.errors import InvalidInput, NotFound, VerificationFailed
from adtally.ethereum.rlp import Item, as_bytes, as_list, decode, encode
from adtally.types import Hash

_BRANCH = 17
_SHORT = 2
_INLINE = 32


def verify_value(root: Hash, key: bytes, nodes: Sequence[bytes]) -> bytes:
    """The value at ``key`` of the trie with this root, as ``nodes`` prove it.

    Args:
        nodes: RLP of the nodes from the root down, those left out that stand inside another.

    Raises:
        VerificationFailed: the nodes do not lead from root to key, or there are more than needed.
        InvalidInput: a node is not RLP of a trie's node.
    """
    path = _nibbles(key)
    left = list(nodes)
    node = _take(left, root)
    while True:
        items = as_list(node)
        if len(items) == _BRANCH:
            if not path:
                return _only(as_bytes(items[16]), left)
            child, path = items[path[0]], path[1:]
        elif len(items) == _SHORT:
            prefix, is_leaf = _unpack(as_bytes(items[0]))
            if path[: len(prefix)] != prefix:
                raise _failed("a node on the path of the key", "another path")
            path = path[len(prefix) :]
            if is_leaf:
                if path:
                    raise _failed("a leaf at the end of the key", "a leaf before it")
                return _only(as_bytes(items[1]), left)
            child = items[1]
        else:
            raise InvalidInput(
                "not a node of a Patricia trie",
                field="nodes",
                expected="2 or 17 items",
                found=f"{len(items)}",
            )
        node = child if isinstance(child, list) else _take(left, child)


def trie_root(values: Mapping[bytes, bytes]) -> Hash:
    """Root hash of the trie that holds ``values``; none of them may be empty."""
    return keccak(encode(_node(_by_nibbles(values), 0)))


def trie_proof(values: Mapping[bytes, bytes], key: bytes) -> tuple[bytes, ...]:
    """What ``verify_value`` takes, for a trie that is all at hand.

    Raises:
        NotFound: the trie has no such key.
    """
    if key not in values:
        raise NotFound("the trie has no such key", field="key", found=key.hex())
    wanted = _nibbles(key)
    level, depth = _by_nibbles(values), 0
    proof: list[bytes] = []
    while True:
        node = _node(level, depth)
        raw = encode(node)
        # The root is always named by its hash.
        if depth == 0 or len(raw) >= _INLINE:
            proof.append(raw)
        items = as_list(node)
        if len(items) == _SHORT:
            prefix, is_leaf = _unpack(as_bytes(items[0]))
            if is_leaf:
                return tuple(proof)
            depth += len(prefix)
            level = _below(level, wanted[:depth])
            continue
        if depth == len(wanted):
            return tuple(proof)
        depth += 1
        level = _below(level, wanted[:depth])


def _by_nibbles(values: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {_nibbles(key): value for key, value in values.items()}


def _below(level: Mapping[bytes, bytes], prefix: bytes) -> dict[bytes, bytes]:
    return {key: value for key, value in level.items() if key.startswith(prefix)}


def _node(level: Mapping[bytes, bytes], depth: int) -> Item:
    """The node over ``level``, whose keys (in nibbles) agree in their first ``depth``."""
    if not level:
        return b""
    if len(level) == 1:
        ((key, value),) = level.items()
        return [_pack(key[depth:], is_leaf=True), value]
    shared = _shared(level, depth)
    if shared > depth:
        some = next(iter(level))
        return [_pack(some[depth:shared], is_leaf=False), _named(_node(level, shared))]
    branch: list[Item] = []
    for nibble in range(16):
        part = {key: v for key, v in level.items() if len(key) > depth and key[depth] == nibble}
        branch.append(_named(_node(part, depth + 1)) if part else b"")
    ends = [value for key, value in level.items() if len(key) == depth]
    return [*branch, ends[0] if ends else b""]


def _named(node: Item) -> Item:
    raw = encode(node)
    return node if len(raw) < _INLINE else keccak(raw)


def _shared(level: Mapping[bytes, bytes], depth: int) -> int:
    """How many nibbles all keys agree in."""
    first, last = min(level), max(level)
    end = depth
    while end < min(len(first), len(last)) and first[end] == last[end]:
        end += 1
    return end


def _take(left: list[bytes], name: Item) -> Item:
    """The next node, if ``name`` is its hash."""
    if not left or keccak(left[0]) != name:
        raise _failed(
            f"a node with hash 0x{as_bytes(name).hex()}",
            f"0x{keccak(left[0]).hex()}" if left else "no more nodes",
        )
    return decode(left.pop(0))


def _only(value: bytes, left: list[bytes]) -> bytes:
    if not value:
        raise _failed("a value at the key", "none")
    if left:
        raise _failed("no node that is not needed", f"{len(left)} more")
    return value


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def _pack(path: bytes, *, is_leaf: bool) -> bytes:
    """Hex prefix encoding (appendix C)."""
    flag = (2 if is_leaf else 0) + len(path) % 2
    padded = bytes((flag,)) + (b"" if len(path) % 2 else b"\0") + path
    return bytes(padded[at] << 4 | padded[at + 1] for at in range(0, len(padded), 2))


def _unpack(packed: bytes) -> tuple[bytes, bool]:
    nibbles = _nibbles(packed)
    if not nibbles or nibbles[0] > 3 or (nibbles[0] % 2 == 0 and nibbles[1] != 0):
        raise InvalidInput(
            "not a path of a Patricia trie",
            field="nodes",
            expected="hex prefix encoding",
            found=packed.hex() or "no bytes",
        )
    return nibbles[2 - nibbles[0] % 2 :], nibbles[0] >= 2


def _failed(expected: str, found: str) -> VerificationFailed:
    return VerificationFailed(
        "the Patricia proof does not verify", field="nodes", expected=expected, found=found
    )
