"""Squeezes what a bundle repeats: zeros, addresses, topics. LZ77 with one outcome for every input.

Common compressors may write the same bytes in many ways, so a changed file could still mean the
same. Here ``expand`` takes only what ``squeeze`` writes.

The squeezed form is a sequence of pieces. A first byte c below 128 is followed by c + 1 bytes as
they are. Any other is followed by a distance d of 16 bits, big-endian, and stands for c - 124 bytes
that are copied one after the other from d bytes before.
"""

from __future__ import annotations

from adtally.errors import InvalidInput, TooLarge

MAX_BYTES = 1 << 20
"""Largest input, and largest output of ``expand``."""

_LEAST = 4
_MOST = 127 + _LEAST
_LITERALS = 128
_WINDOW = 0xFFFF
_CANDIDATES = 32


def squeeze(data: bytes) -> bytes:
    """The one squeezed form.

    From left to right: of the 32 nearest places in reach where a piece or a byte of its own began
    with the same four bytes, the one with the longest match is copied, of equal ones the nearest;
    without such a place the byte stands for itself.

    Raises:
        TooLarge: more than ``MAX_BYTES``.
    """
    _check_size(len(data))
    places: dict[bytes, list[int]] = {}
    out = bytearray()
    literals = at = 0
    while at < len(data):
        length = distance = 0
        if at + _LEAST <= len(data):
            key = data[at : at + _LEAST]
            known = places.get(key)
            if known is None:
                places[key] = [at]
            else:
                length, distance = _longest(data, at, known)
                known.append(at)
        if length:
            _flush(out, data[literals:at])
            out += bytes((_LITERALS + length - _LEAST,)) + distance.to_bytes(2, "big")
            literals = at + length
        at += max(length, 1)
    _flush(out, data[literals:])
    return bytes(out)


def expand(squeezed: bytes) -> bytes:
    """What was squeezed.

    Raises:
        InvalidInput: this is not what ``squeeze`` would write.
        TooLarge: more than ``MAX_BYTES``.
    """
    out = bytearray()
    at = 0
    while at < len(squeezed):
        code = squeezed[at]
        if code < _LITERALS:
            piece = squeezed[at + 1 : at + 2 + code]
            at += 2 + code
        else:
            distance = int.from_bytes(squeezed[at + 1 : at + 3], "big")
            if not 1 <= distance <= len(out):
                raise _not_canonical(f"a copy from {distance} bytes before byte {len(out)}")
            length = code - _LITERALS + _LEAST
            source = out[-distance:]
            piece = bytes((source * (length // len(source) + 1))[:length])
            at += 3
        out += piece
        _check_size(len(out))
    data = bytes(out)
    if at != len(squeezed) or squeeze(data) != squeezed:
        raise _not_canonical("another form of the same bytes, or a cut one")
    return data


def _longest(data: bytes, at: int, places: list[int]) -> tuple[int, int]:
    """Length and distance of the match to copy at a place, 0 if there is none."""
    best = distance = 0
    most = min(len(data) - at, _MOST)
    for place in reversed(places[-_CANDIDATES:]):
        if at - place > _WINDOW or best == most:
            break
        # Who does not match where the best so far ends can't be longer.
        if data[place + best] != data[at + best]:
            continue
        length = _LEAST
        while length < most and data[place + length] == data[at + length]:
            length += 1
        if length > best:
            best, distance = length, at - place
    return best, distance


def _flush(out: bytearray, literals: bytes) -> None:
    for start in range(0, len(literals), _LITERALS):
        piece = literals[start : start + _LITERALS]
        out += bytes((len(piece) - 1,)) + piece


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise TooLarge(
            "a proof bundle has a bounded size",
            field="bundle",
            expected=f"at most {MAX_BYTES} bytes",
            found=f"{size} bytes or more",
        )


def _not_canonical(found: str) -> InvalidInput:
    return InvalidInput(
        "the file is not in the one form that a bundle has",
        field="bundle",
        expected="the bytes as they were written",
        found=found,
        action="get the bundle again: it was changed on its way",
    )
