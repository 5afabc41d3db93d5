"""Range checks of fixed-width fields, so that packing raises typed errors and never pads or cuts.

``struct`` pads a short byte string with zeros and cuts a long one without a word, and
``int.to_bytes`` raises OverflowError; neither may happen to bytes that are signed or logged.
"""

from __future__ import annotations

from adtally.errors import InvalidInput
from adtally.types import UINT48_MAX


def check_uint(field: str, value: int, bits: int) -> None:
    """Raises InvalidInput unless ``value`` fits an unsigned integer of ``bits`` bits."""
    if not 0 <= value < 1 << bits:
        raise InvalidInput(
            f"{field} is out of range",
            field=field,
            expected=f"0 to 2^{bits}-1",
            found=str(value),
        )


def check_size(field: str, value: bytes, size: int) -> None:
    """Raises InvalidInput unless ``value`` has exactly ``size`` bytes."""
    if len(value) != size:
        raise InvalidInput(
            f"{field} has a fixed length",
            field=field,
            expected=f"{size} bytes",
            found=f"{len(value)} bytes",
        )


def time_bytes(field: str, value_ms: int) -> bytes:
    """A time in UTC milliseconds as six big-endian bytes (good until the year 10889).

    Raises:
        InvalidInput: negative, or beyond 48 bits.
    """
    if not 0 <= value_ms <= UINT48_MAX:
        raise InvalidInput(
            f"{field} is out of range",
            field=field,
            expected="UTC milliseconds, 0 to 2^48-1",
            found=str(value_ms),
        )
    return value_ms.to_bytes(6, "big")
