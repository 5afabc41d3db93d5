"""Problem documents (RFC 9457) of the service, turned back into the typed errors."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx
import msgspec

from adtally import errors
from adtally.errors import AdtallyError, ChainReverted, InvalidInput, NotFound, Overloaded
from adtally.log.canonical_json import require_shallow

_DETAIL_LIMIT = 300
_SECONDS = re.compile(r"[0-9]{1,6}")


def error_from_response(response: httpx.Response) -> AdtallyError:
    """The error that a response of status 400 and above stands for.

    A body that is no problem document (a proxy's page, say) becomes a plain ``AdtallyError``, or
    ``NotFound`` with status 404.
    """
    try:
        require_shallow(response.content)
        document = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, InvalidInput):
        document = None
    if not isinstance(document, dict):
        kind = NotFound if response.status_code == httpx.codes.NOT_FOUND else AdtallyError
        return kind(
            f"{response.request.method} {response.request.url} was refused",
            expected="a problem document (RFC 9457)",
            found=f"HTTP {response.status_code}: {_shown(response.content)}",
            action="check that the address is that of an adtally service",
        )
    return _error_from_problem(document, response)


def _error_from_problem(problem: Mapping[str, object], response: httpx.Response) -> AdtallyError:
    message = str(problem.get("detail") or problem.get("title") or "refused")
    code = str(problem.get("code") or "")
    if code == Overloaded.code or response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return Overloaded(message, retry_after_seconds=retry_after_seconds(response))
    if code == ChainReverted.code:
        return ChainReverted(message, reason=_text(problem, "found") or "unknown")
    kind = _ERROR_BY_CODE.get(code, AdtallyError)
    return kind(
        message,
        field=_text(problem, "field"),
        expected=_text(problem, "expected"),
        found=_text(problem, "found"),
        action=_text(problem, "action"),
    )


def retry_after_seconds(response: httpx.Response) -> int:
    """The ``Retry-After`` header in seconds, 1 where it is absent, a date or absurd."""
    value = response.headers.get("retry-after", "")
    return int(value) if _SECONDS.fullmatch(value) else 1


def _shown(content: bytes) -> str:
    # In whatever character set it claims to be: the codec of its choice could fail.
    return content[:_DETAIL_LIMIT].decode("utf-8", "replace")


def _text(problem: Mapping[str, object], key: str) -> str | None:
    value = problem.get(key)
    return None if value is None else str(value)


_ERROR_BY_CODE: dict[str, type[AdtallyError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, AdtallyError)
    and kind not in (Overloaded, ChainReverted)
}
