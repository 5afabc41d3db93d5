"""HTTP caching for what is published: entity tags, conditional requests, ranges (RFC 9110)."""

from __future__ import annotations

import re

from fastapi import Request
from fastapi.responses import Response

from adtally.api.problems import problem

FOREVER = "public, max-age=31536000, immutable"
"""For what never changes under its path."""
BRIEFLY = "public, max-age=1, must-revalidate"
"""For what grows: a cache in front asks once a second, however many ask it."""

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


def is_known(request: Request, etag: str) -> bool:
    """Whether ``If-None-Match`` says that the client has it (RFC 9110, 13.1.2)."""
    given = request.headers.get("if-none-match")
    if given is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in given.split(",")]
    return etag in tags or "*" in tags


def not_modified(etag: str, cache_control: str) -> Response:
    """304: what the client has is right."""
    return Response(status_code=304, headers=_headers(etag, cache_control))


def answer(
    request: Request, content: bytes, *, media_type: str, etag: str, cache_control: str
) -> Response:
    """The content, the part of it that ``Range`` asks for, or 304."""
    if is_known(request, etag):
        return not_modified(etag, cache_control)
    headers = _headers(etag, cache_control)
    asked = request.headers.get("range")
    if request.headers.get("if-range", etag) != etag or request.method != "GET":
        asked = None
    part = None if asked is None else parse_range(asked, len(content))
    if part is None:
        return Response(content, media_type=media_type, headers=headers)
    start, end = part
    if start == end:
        refused = problem(416, "range", "the range is not within the file", found=asked)
        refused.headers["Content-Range"] = f"bytes */{len(content)}"
        return refused
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
    return Response(content[start:end], 206, media_type=media_type, headers=headers)


def parse_range(text: str, length: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of the one range asked for; equal if nothing of it is there.

    None for what is not one range of bytes: such a header is ignored (RFC 9110, 14.2).
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return max(0, length - int(last)), length
    start = int(first)
    if last and int(last) < start:
        return None
    return min(start, length), min(int(last) + 1, length) if last else length


def _headers(etag: str, cache_control: str) -> dict[str, str]:
    return {"ETag": etag, "Cache-Control": cache_control, "Accept-Ranges": "bytes"}
