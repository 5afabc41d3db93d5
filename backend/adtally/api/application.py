"""The FastAPI application: routes, documentation, problem documents."""

from __future__ import annotations

import os

from fastapi import APIRouter
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from adtally import __version__
from adtally.api import (
    attestations,
    batches,
    collector,
    corrections,
    cosignatures,
    declarations,
    hits,
    log,
    log_documents,
    log_files,
    members,
    operations,
    problems,
    proofs,
    reports,
    statements,
    virtual_clock,
)
from adtally.api.body import BodyLimit
from adtally.api.read_access import ReadAccess
from adtally.api.service import Service

DESCRIPTION = """
Signed ad events in, provable money out.

* **Publishers** `POST /v1/batches` and keep the signed receipt; what was not counted comes back
  with a verdict per event.
* **Tags** count single hits: a pixel `GET /v1/imp`, a redirect `/v1/click`, a postback
  `POST /v1/conversion`, each with a token that counts once.
* **Advertisers** read `/v1/campaigns/{id}` and `/v1/campaigns/{id}/report`; every settled figure
  equals a statement to the unit.
* **Auditors and attestors** need nothing but `/v1/log/*`, `/v1/campaigns/*/statements` and the
  chain: `adtally audit` re-derives every unit paid.

Money is a decimal string of token base units. Errors are RFC 9457 problem documents that say what
was expected, what was found and what to do.
"""


def create_application(service: Service, *, with_virtual_clock: bool) -> ASGIApp:
    """Put the routes of a running service together: hits, batches, and FastAPI for all others."""
    # The documentation page loads nothing from elsewhere: consortium networks have no internet.
    app = FastAPIOffline(
        title="adtally",
        version=__version__,
        description=DESCRIPTION,
        swagger_ui_parameters={"filter": True, "defaultModelsExpandDepth": 0},
    )
    app.state.service = service
    app.add_middleware(BodyLimit, limit_bytes=service.settings.max_body_bytes)
    if service.settings.read_access != "public":
        app.add_middleware(ReadAccess, service=service)
    # Not around the hits: they take addresses from as many proxies as the settings trust.
    trusted = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=trusted)
    problems.install(app)
    v1 = APIRouter(prefix="/v1", responses={"4XX": {"description": "a problem document"}})
    for module in (
        batches,
        declarations,
        corrections,
        members,
        statements,
        reports,
        log,
        log_files,
        log_documents,
        cosignatures,
        attestations,
        operations,
        collector,
        proofs,
    ):
        v1.include_router(module.router)
    app.include_router(v1)
    if with_virtual_clock:
        app.include_router(virtual_clock.router)
    hits.document(app)
    routes = batches.BatchRoute(app, service.sequencer, service.settings.max_body_bytes)
    return hits.HitRoutes(routes, service.hits, service.settings.trusted_proxies)
