"""``POST /v1/batches``: signed events in, a signed receipt with a verdict per event out."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from adtally.api.body import read_body
from adtally.api.schemas import BatchOut
from adtally.api.service import ServiceDep
from adtally.api.transport import BINARY_TYPE, JSON_TYPE, NDJSON_TYPE, BatchJson, parse_batch

router = APIRouter(tags=["events"])


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
async def post_batch(request: Request, service: ServiceDep) -> Response:
    """Verify, judge, log and price a batch; the answer comes after it is on disk.

    The EIP-712 signature covers the canonical records, whatever the transport. Sending the same
    batch again (same member and sequence) answers the same receipt. A batch that is refused
    (4xx) leaves no trace.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in (JSON_TYPE, NDJSON_TYPE, BINARY_TYPE):
        raise HTTPException(415, f"send {JSON_TYPE}, {NDJSON_TYPE} or {BINARY_TYPE}")
    body = await read_body(request, service.settings.max_body_bytes)
    batch = parse_batch(content_type, body)
    result = await service.sequencer.submit(batch)
    document = BatchOut.of(result).model_dump()
    return Response(msgspec.json.encode(document), media_type=JSON_TYPE)
