"""Errors as RFC 9457 problem details; the only place that knows HTTP status codes."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from adtally.errors import (
    AdtallyError,
    ChainError,
    Conflict,
    InsufficientEscrow,
    InvalidInput,
    NotAllowed,
    NotFound,
    Overloaded,
    StorageFailed,
    TooLarge,
    VerificationFailed,
)

logger = logging.getLogger(__name__)

PROBLEM_TYPE = "application/problem+json"

_STATUS: tuple[tuple[type[AdtallyError], int], ...] = (
    (TooLarge, 413),
    (InvalidInput, 400),
    (NotFound, 404),
    (Conflict, 409),
    (NotAllowed, 403),
    (VerificationFailed, 401),
    (InsufficientEscrow, 409),
    (Overloaded, 503),
    (StorageFailed, 503),
    (ChainError, 503),
)


def status_of(error: AdtallyError) -> int:
    """HTTP status code for an error of the domain."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(status: int, code: str, detail: str, **members: object) -> JSONResponse:
    """A problem document; members that are None are left out."""
    body = {
        "type": f"urn:adtally:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    body |= {name: value for name, value in members.items() if value is not None}
    # What is wrong now may be right in a moment: a cache must not remember it.
    headers = {"Cache-Control": "no-store"}
    return JSONResponse(body, status, headers, media_type=PROBLEM_TYPE)


def problem_of(error: AdtallyError) -> JSONResponse:
    """The problem document of an error of the domain."""
    response = problem(
        status_of(error),
        error.code,
        error.message,
        field=error.field,
        expected=error.expected,
        found=error.found,
        action=error.action,
    )
    if isinstance(error, Overloaded):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def install(app: FastAPI) -> None:
    """Answer every error as a problem document."""

    @app.exception_handler(AdtallyError)
    async def domain_error(_: Request, error: AdtallyError) -> JSONResponse:
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    async def validation_error(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return problem(
            400,
            "invalid_input",
            "a parameter has a wrong type or value",
            field=".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0]),
            expected=first["msg"],
            found=repr(first.get("input"))[:80],
        )

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        response = problem(error.status_code, code, str(error.detail))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        logger.exception("unexpected error in %s %s", request.method, request.url.path)
        return problem(500, "internal_error", "an error in the service; it has been logged")
