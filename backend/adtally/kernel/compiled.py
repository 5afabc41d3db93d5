"""How functions are compiled that the rules call for every event."""

from __future__ import annotations

from numba import njit

leaf = njit(cache=True, _nrt=False, forceinline=True)  # type: ignore[call-overload]
"""For functions that read and write elements of arrays and nothing else.

Otherwise each call counts a reference to every array it is given, up and down again: two atomic
additions, which together cost more than the rules themselves. ``_nrt`` turns that off; what would
need it (slices, new arrays) does not compile then.
"""
