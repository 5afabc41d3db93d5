"""Single hits over bare ASGI: pixels, redirects, postbacks and tokens, before FastAPI sees them.

FastAPI spends more on a request than all the rest of a hit costs, so these paths are answered here.
They are documented in the OpenAPI page like the others (``document``).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from adtally.api.body import BodyBudget
from adtally.api.problems import problem, problem_of
from adtally.collector.hits import Answer, HitDesk
from adtally.collector.postbacks import MAX_POSTBACK_BYTES
from adtally.collector.visitors import Visitor
from adtally.errors import AdtallyError, InvalidInput, NotAllowed
from adtally.events.record import event_id_text
from adtally.events.verdict import Verdict

logger = logging.getLogger(__name__)

GIF = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
"""One transparent pixel."""

_Headers = list[tuple[bytes, bytes]]
_Handler = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOOKED_AT = frozenset((b"user-agent", b"x-forwarded-for", b"sec-purpose", b"purpose", b"x-moz"))
_JSON = (b"content-type", b"application/json")
_ANYWHERE = (
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)
GIF_HEADERS: _Headers = [
    (b"content-type", b"image/gif"),
    (b"content-length", b"%d" % len(GIF)),
    *_ANYWHERE,
]


class HitRoutes:
    """Answers the paths of hits, hands everything else on.

    Args:
        app: for all other paths.
        desk: takes the hits.
        trusted_proxies: how many proxies in front of the service add to ``X-Forwarded-For``.
    """

    def __init__(self, app: ASGIApp, desk: HitDesk, trusted_proxies: int) -> None:
        self._app = app
        self.desk = desk
        self._trusted_proxies = trusted_proxies
        self._bodies = BodyBudget(MAX_POSTBACK_BYTES)
        self._routes: dict[str, tuple[str, _Handler]] = {
            "/v1/imp": ("GET", self._impression),
            "/v1/viewable": ("GET", self._viewable),
            "/v1/click": ("GET", self._click),
            "/v1/token": ("GET", self._token),
            "/v1/conversion": ("POST", self._conversion),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        method, handler = route
        try:
            if scope["method"] != method:
                answer = problem(405, "method_not_allowed", f"this path takes {method}")
                answer.headers["Allow"] = method
                await answer(scope, receive, send)
                return
            await handler(scope, receive, send)
        except AdtallyError as error:
            answer = problem_of(error)
            answer.headers["Cache-Control"] = "no-store"
            await answer(scope, receive, send)
        except Exception:
            logger.exception("unexpected error in %s %s", scope["method"], scope["path"])
            unexpected = problem(500, "internal_error", "an error in the service; it was noted")
            await unexpected(scope, receive, send)

    async def _impression(self, scope: Scope, _: Receive, send: Send) -> None:
        query = scope["query_string"]
        answer = await self.desk.impression(
            query_parameter(query, b"t="),
            self.visitor(scope["headers"], query, scope.get("client")),
        )
        await _reply(send, 200, [*GIF_HEADERS, hit_header(answer)], GIF)

    async def _viewable(self, scope: Scope, _: Receive, send: Send) -> None:
        query = scope["query_string"]
        answer = await self.desk.viewable(
            query_parameter(query, b"t="),
            self.visitor(scope["headers"], query, scope.get("client")),
        )
        await _reply(send, 200, [*GIF_HEADERS, hit_header(answer)], GIF)

    async def _click(self, scope: Scope, _: Receive, send: Send) -> None:
        query = scope["query_string"]
        text, visitor = (
            query_parameter(query, b"t="),
            self.visitor(scope["headers"], query, scope.get("client")),
        )
        if b"as=pixel" in query.split(b"&"):
            answer = await self.desk.tracked_click(text, visitor)
            await _reply(send, 200, [*GIF_HEADERS, hit_header(answer)], GIF)
            return
        landing = await self.desk.click(text, visitor)
        if landing.refusal is not None:
            about = (b"adtally-refused", landing.refusal.code.encode("ascii"))
        else:
            assert landing.answer is not None
            about = hit_header(landing.answer)
        location = (b"location", landing.location.encode("ascii"))
        await _reply(send, 302, [location, (b"content-length", b"0"), *_ANYWHERE, about], b"")

    async def _token(self, scope: Scope, _: Receive, send: Send) -> None:
        token = self.desk.mint(query_parameter(scope["query_string"], b"s="))
        body = msgspec.json.encode({"token": token.text, "event_id": event_id_text(token.event_id)})
        allowed = (b"access-control-allow-origin", b"*")
        await _reply(send, 200, [*_json_headers(body), allowed], body)

    async def _conversion(self, scope: Scope, receive: Receive, send: Send) -> None:
        signature = next(
            (value for name, value in scope["headers"] if name == b"adtally-signature"), b""
        )
        async with self._bodies.body(scope, receive) as body:
            answer = await self.desk.conversion(signature.decode("latin-1"), body)
        document = msgspec.json.encode(
            {
                "event_id": event_id_text(answer.event_id),
                "verdict": answer.verdict.label,
                "index": answer.leaf_index,
            }
        )
        await _reply(send, 200, [*_json_headers(document), hit_header(answer)], document)

    def visitor(self, headers: _Headers, query: bytes, client: tuple[str, int] | None) -> Visitor:
        """Who asks.

        Raises:
            NotAllowed: a browser fetches it before anybody wants it (MRC pre-fetch).
        """
        user_agent, forwarded = b"", []
        for name, value in headers:
            if name not in _LOOKED_AT:
                continue
            if name == b"user-agent":
                user_agent = value
            elif name == b"x-forwarded-for":
                forwarded.append(value)
            elif b"prefetch" in value.lower():
                raise NotAllowed(
                    "a prefetch is no hit",
                    field=name.decode("ascii"),
                    expected="a request that somebody waits for",
                    found="prefetch",
                )
        is_relayed = b"via=server" in query and b"via=server" in query.split(b"&")
        return Visitor(self._address(client, forwarded), user_agent, is_relayed)

    def _address(self, client: tuple[str, int] | None, forwarded: list[bytes]) -> str | None:
        if self._trusted_proxies == 0:
            return None if client is None else client[0]
        # Each trusted proxy has added the address it was asked from; what is further to the left
        # was there before, written by anybody.
        addresses = b",".join(forwarded).decode("latin-1").split(",")
        if len(addresses) < self._trusted_proxies:
            return None
        return addresses[-self._trusted_proxies].strip()


def query_parameter(query: bytes, name: bytes) -> bytes:
    """The first parameter that begins with ``name``, undecoded; raises InvalidInput for none."""
    for part in query.split(b"&"):
        if part.startswith(name):
            return part[len(name) :]
    field = name[:1].decode("ascii")
    raise InvalidInput(
        "the request names no token",
        field=field,
        expected=f"a query parameter {field}",
        found="none",
    )


_LABELS = {verdict: verdict.label for verdict in Verdict}


def hit_header(answer: Answer) -> tuple[bytes, bytes]:
    """What became of a hit, as one structured field (RFC 8941): every header costs."""
    event_id, verdict, index = answer
    text = f'{_LABELS[verdict]};id="{event_id_text(event_id)}";index={index}'
    return (b"adtally-hit", text.encode("ascii"))


def _json_headers(body: bytes) -> _Headers:
    return [_JSON, (b"content-length", b"%d" % len(body)), *_ANYWHERE]


async def _reply(send: Send, status: int, headers: _Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def document(app: FastAPI) -> None:
    """Have the application's OpenAPI schema tell of these paths, too."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        schema = generate()
        schema["paths"] |= _DOCUMENTED
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _parameter_schema(name: str, where: str, description: str, *, required: bool = True) -> Any:
    return {
        "name": name,
        "in": where,
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }


_PROBLEM = {"4XX": {"description": "a problem document"}, "503": {"description": "ask again"}}
_TOKEN = _parameter_schema("t", "query", "the minted token, 68 characters")
_RELAYED = _parameter_schema(
    "via", "query", "`server` when a server asks, not the person's browser", required=False
)
_VERDICT = {
    "Adtally-Hit": {
        "schema": {"type": "string"},
        "description": "verdict, event id and leaf index of the record: "
        '`accepted;id="<uuid>";index=<n>` (RFC 8941)',
    }
}


def _operation(summary: str, description: str, parameters: list[Any], ok: Any) -> dict[str, Any]:
    return {
        "tags": ["hits"],
        "summary": summary,
        "description": description,
        "parameters": parameters,
        "responses": {**ok, **_PROBLEM},
    }


def _gif(description: str) -> dict[str, Any]:
    image = {"image/gif": {"schema": {"type": "string", "format": "binary"}}}
    return {"200": {"description": description, "headers": _VERDICT, "content": image}}


_DOCUMENTED: dict[str, Any] = {
    "/v1/imp": {
        "get": _operation(
            "Count an impression (pixel, `burl`, VAST Impression)",
            "Answers a transparent pixel once the impression is on disk. A token counts once;"
            " further parameters, such as macros, are ignored.",
            [_TOKEN, _RELAYED],
            _gif("a pixel"),
        )
    },
    "/v1/viewable": {
        "get": _operation(
            "Count a viewable impression (VAST ViewableImpression)",
            "For the token of the impression, once.",
            [_TOKEN, _RELAYED],
            _gif("a pixel"),
        )
    },
    "/v1/click": {
        "get": _operation(
            "Count a click and go to the landing page",
            "Redirects to the page that the advertiser registered with the creative and to nothing"
            " else, with `adtally_click` for the postback, once the click is on disk.",
            [
                _TOKEN,
                _RELAYED,
                _parameter_schema(
                    "as",
                    "query",
                    "`pixel` answers a pixel instead (VAST ClickTracking)",
                    required=False,
                ),
            ],
            {"302": {"description": "to the landing page", "headers": _VERDICT}, **_gif("a pixel")},
        )
    },
    "/v1/token": {
        "get": _operation(
            "Mint a token for a page without an ad server",
            "For whoever has the slot's name, so for whoever loads the page, bots as well.",
            [_parameter_schema("s", "query", "the slot's name, 44 characters")],
            {"200": {"description": "`token` and `event_id`"}},
        )
    },
    "/v1/conversion": {
        "post": _operation(
            "Report a conversion (advertiser's postback)",
            "JSON of `click`, `order`, `occurred_at_ms`, and of a value `value_minor_units` and"
            " `currency`; signed with the campaign's postback secret, within five minutes.",
            [
                _parameter_schema(
                    "Adtally-Signature", "header", "`t=<UTC seconds>,v1=<HMAC-SHA256 in hex>`"
                )
            ],
            {"200": {"description": "`event_id`, `verdict` and `index`", "headers": _VERDICT}},
        )
    },
}
_DOCUMENTED["/v1/conversion"]["post"]["requestBody"] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["click", "order", "occurred_at_ms"],
                "properties": {
                    "click": {"type": "string"},
                    "order": {"type": "string"},
                    "occurred_at_ms": {"type": "integer"},
                    "value_minor_units": {"type": "string"},
                    "currency": {"type": "string"},
                },
            }
        }
    },
}
