"""Where a click lands: the page that the advertiser registered with the creative, nowhere else."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, urlsplit, urlunsplit

CLICK_PARAMETER = "adtally_click"
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\\"<>^`{|}]")
_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]", re.IGNORECASE)
"""What may stand there as ASCII: IDNA maps some signs to spaces and worse."""
_KEPT = "%!#$&'()*+,/:;=?@[]~"
"""Reserved characters of RFC 3986 and escapes: left as they were registered."""


@lru_cache(maxsize=4_096)
def landing_page(detail: str) -> str | None:
    """The page in a creative's declaration, as ASCII fit for a ``Location`` header.

    None when it is no absolute http or https URL with a host: a redirect to anything else could
    run a script or be read differently by different browsers.
    """
    if _UNSAFE.search(detail):
        return None
    try:
        parts = urlsplit(detail)
        host = parts.hostname
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return None
    try:
        name = f"[{host}]" if ":" in host else host.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    if not _HOST.fullmatch(name):
        return None
    netloc = name if port is None else f"{name}:{port}"
    path, query, fragment = (
        quote(part, safe=_KEPT) for part in (parts.path, parts.query, parts.fragment)
    )
    return urlunsplit((parts.scheme, netloc, path or "/", query, fragment))


def with_click(page: str, click: str) -> str:
    """The page with the click token as its last query parameter."""
    parts = urlsplit(page)
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}{CLICK_PARAMETER}={click}"))
