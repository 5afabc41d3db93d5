"""``POST /v1/batches``: signed events in, a signed receipt with a verdict per event out."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from adtally.api.body import BodyBudget
from adtally.api.problems import problem, problem_of
from adtally.api.schemas import BatchOut, ReceiptOut
from adtally.api.transport import BINARY_TYPE, JSON_TYPE, NDJSON_TYPE, BatchJson, parse_batch
from adtally.errors import AdtallyError, InvariantBroken
from adtally.events.verdict import Verdict
from adtally.intake.receipts import BatchResult
from adtally.intake.sequencer import Sequencer

logger = logging.getLogger(__name__)

router = APIRouter(tags=["events"])

PATH = "/v1/batches"
_JSON = (b"content-type", JSON_TYPE.encode())
_LABELS = [f'"{verdict.label}"'.encode() for verdict in Verdict]


def _request_schema() -> dict[str, Any]:
    schema = msgspec.json.schema(BatchJson)
    components = schema.pop("$defs")
    return {
        "requestBody": {
            "required": True,
            "content": {
                JSON_TYPE: {"schema": _inline(schema, components)},
                NDJSON_TYPE: {
                    "schema": {
                        "type": "string",
                        "description": "header object on the first line (the JSON body without "
                        "`events`), then one event object a line",
                    }
                },
                BINARY_TYPE: {
                    "schema": {
                        "type": "string",
                        "format": "binary",
                        "description": "113-byte header and 112-byte records, docs/spec/batches.md",
                    }
                },
            },
        }
    }


def _inline(node: Any, components: dict[str, Any]) -> Any:
    """Replace references by what they name: the schema is no recursive one."""
    if isinstance(node, dict):
        if "$ref" in node:
            return _inline(components[node["$ref"].rpartition("/")[2]], components)
        return {key: _inline(value, components) for key, value in node.items()}
    if isinstance(node, list):
        return [_inline(value, components) for value in node]
    return node


@router.post(
    "/batches",
    response_model=BatchOut,
    openapi_extra=_request_schema(),
    summary="Log a batch of signed events",
)
async def post_batch() -> None:
    """Verify, judge, log and price a batch; the answer comes after it is on disk.

    The EIP-712 signature covers the canonical records, whatever the transport. Sending the same
    batch again (same member and sequence) answers the same receipt. A batch that is refused
    (4xx) leaves no trace.
    """
    raise InvariantBroken(f"{PATH} was not answered by BatchRoute")


class BatchRoute:
    """Answers ``POST /v1/batches`` over bare ASGI, hands everything else on.

    FastAPI spends as much on a request as judging a few hundred events takes. ``post_batch``
    documents the path.

    Args:
        app: for everything else.
        sequencer: takes the batches.
        max_body_bytes: of one batch.
    """

    def __init__(self, app: ASGIApp, sequencer: Sequencer, max_body_bytes: int) -> None:
        self._app = app
        self._sequencer = sequencer
        self._bodies = BodyBudget(max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        # Sent when nothing refers to the body any more, not even a traceback: its room is given
        # back, and a client may take as long as it likes to read its answer.
        answer = await self._answer(scope, receive)
        if isinstance(answer, Response):
            await answer(scope, receive, send)
            return
        headers = [_JSON, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, scope: Scope, receive: Receive) -> bytes | Response:
        """The document of a batch that was logged, or why it was not."""
        content_type = _content_type(scope)
        if content_type not in (JSON_TYPE, NDJSON_TYPE, BINARY_TYPE):
            detail = f"send {JSON_TYPE}, {NDJSON_TYPE} or {BINARY_TYPE}"
            return problem(415, "unsupported_media_type", detail)
        try:
            async with self._bodies.body(scope, receive) as body:
                result = await self._sequencer.submit(parse_batch(content_type, body))
            return _document(result)
        except AdtallyError as error:
            return problem_of(error)
        except Exception:
            logger.exception("unexpected error in POST %s", PATH)
            return problem(500, "internal_error", "an error in the service; it has been logged")


def _content_type(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"content-type":
            text: str = value.decode("latin-1")
            return text.partition(";")[0].strip().lower()
    return ""


def _document(result: BatchResult) -> bytes:
    """``BatchOut`` in JSON, without a step of Python for each event."""
    codes = result.verdicts.codes
    if codes.count(codes[0]) == len(codes):
        labels = b",".join([_LABELS[codes[0]]] * len(codes))
    else:
        labels = b",".join(map(_LABELS.__getitem__, codes))
    receipt = ReceiptOut.of(result.receipt, result.signature).model_dump()
    return msgspec.json.encode(
        {
            "receipt": receipt,
            "verdicts": msgspec.Raw(b"[" + labels + b"]"),
            "replayed": result.replayed,
        }
    )
