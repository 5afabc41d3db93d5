"""RLP, the recursive length prefix of Ethereum (Yellow Paper, appendix B), strictly.

Every item has one encoding here: what decodes is what ``encode`` writes, so whoever compares bytes
compares values.
"""

from __future__ import annotations

from typing import TypeAlias

from adtally.errors import InvalidInput

Item: TypeAlias = "bytes | list[Item]"

_SHORT = 55
_MAX_DEPTH = 16


def encode(item: Item) -> bytes:
    """The bytes of a string or of a list of items."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _prefix(0x80, len(item)) + item
    payload = b"".join(encode(each) for each in item)
    return _prefix(0xC0, len(payload)) + payload


def decode(data: bytes) -> Item:
    """The item that ``data`` encodes, all of it.

    Raises:
        InvalidInput: not RLP, not its shortest form, or bytes behind it.
    """
    item, end = _item(data, 0, 0)
    if end != len(data):
        raise _malformed(f"{len(data) - end} bytes behind the item")
    return item


def uint(value: int) -> bytes:
    """A number of any size as RLP has it: big-endian without leading zeros, 0 empty."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def as_bytes(item: Item) -> bytes:
    """The item as a string; raises InvalidInput for a list."""
    if not isinstance(item, bytes):
        raise _malformed("a list where bytes belong")
    return item


def as_hash(item: Item) -> bytes:
    """The item as 32 bytes; raises InvalidInput for anything else."""
    return as_sized(item, 32)


def as_sized(item: Item, size: int) -> bytes:
    """The item as so many bytes; raises InvalidInput for anything else."""
    raw = as_bytes(item)
    if len(raw) != size:
        raise _malformed(f"{len(raw)} bytes where {size} belong")
    return raw


def as_list(item: Item, count: int | None = None) -> list[Item]:
    """The item as a list (of ``count`` items); raises InvalidInput for anything else."""
    if not isinstance(item, list) or (count is not None and len(item) != count):
        found = f"a list of {len(item)}" if isinstance(item, list) else "bytes"
        raise _malformed(f"{found} where a list{'' if count is None else f' of {count}'} belongs")
    return item


def as_uint(item: Item, bits: int = 64) -> int:
    """The item as a number below ``2**bits``; raises InvalidInput for anything else."""
    raw = as_bytes(item)
    if raw[:1] == b"\0" or len(raw) * 8 > bits + 7 or int.from_bytes(raw, "big") >> bits:
        raise _malformed(f"0x{raw[:40].hex()} where a number of {bits} bits belongs")
    return int.from_bytes(raw, "big")


def _prefix(base: int, length: int) -> bytes:
    if length <= _SHORT:
        return bytes((base + length,))
    size = uint(length)
    return bytes((base + _SHORT + len(size),)) + size


def _item(data: bytes, at: int, depth: int) -> tuple[Item, int]:
    """The item at ``at`` and the place behind it."""
    if at >= len(data):
        raise _malformed("nothing where an item belongs")
    if depth > _MAX_DEPTH:
        raise _malformed(f"lists more than {_MAX_DEPTH} deep")
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    base = 0x80 if first < 0xC0 else 0xC0
    start, end = _span(data, at, first - base)
    if base == 0x80:
        raw = data[start:end]
        if len(raw) == 1 and raw[0] < 0x80:
            raise _malformed("a byte below 0x80 with a length in front")
        return raw, end
    items: list[Item] = []
    while start < end:
        item, start = _item(data, start, depth + 1)
        items.append(item)
    if start != end:
        raise _malformed("an item that is longer than its list")
    return items, end


def _span(data: bytes, at: int, length: int) -> tuple[int, int]:
    """Where the payload behind the prefix at ``at`` starts and ends."""
    start = at + 1
    if length > _SHORT:
        start += length - _SHORT
        size = data[at + 1 : start]
        length = int.from_bytes(size, "big")
        if size[:1] in (b"", b"\0") or length <= _SHORT:
            raise _malformed("a length that is not in its shortest form")
    if start + length > len(data):
        raise _malformed(f"{len(data) - start} bytes where {length} are announced")
    return start, start + length


def _malformed(found: str) -> InvalidInput:
    return InvalidInput("not canonical RLP", field="rlp", expected="one item", found=found)
