"""Amounts for people's eyes: whole tokens from base units, without ever touching a float."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenUnit:
    """A token's ticker and how many digits of a whole token stand after the point."""

    symbol: str
    decimals: int

    def text(self, base_units: int, digits: int | None = None) -> str:
        """E.g. ``1,234.567890``; ``digits`` cuts (never rounds) what is shown after the point."""
        sign = "-" if base_units < 0 else ""
        whole, rest = divmod(abs(base_units), 10**self.decimals)
        fraction = str(rest).rjust(self.decimals, "0") if self.decimals else ""
        if digits is not None:
            fraction = fraction[:digits]
        return f"{sign}{whole:,}" + (f".{fraction}" if fraction else "")

    def named(self, base_units: int, digits: int | None = None) -> str:
        """E.g. ``1,234.56 USDX``."""
        return f"{self.text(base_units, digits)} {self.symbol}"
