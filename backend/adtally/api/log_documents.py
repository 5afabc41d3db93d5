"""What an auditor needs besides the log, as canonical JSON beside it (static layout).

The same documents as elsewhere in the API; here each has one spelling, so that a service and a
folder written by ``adtally export-log`` are the same to whoever reads them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel

from adtally.api.caching import BRIEFLY, FOREVER, answer
from adtally.api.cosignatures import cosigners
from adtally.api.members import get_campaigns
from adtally.api.operations import get_anchors, get_deployment
from adtally.api.service import Service, ServiceDep
from adtally.api.statements import get_one_statement
from adtally.collector.user_agents import published_list
from adtally.errors import NotFound
from adtally.log.canonical_json import canonical_json
from adtally.log.signed_document import sign_document
from adtally.types import UINT32_MAX

router = APIRouter(prefix="/log", tags=["log"])

Number = Annotated[str, Path(pattern="^[1-9][0-9]{0,9}$")]
_STATEMENT = re.compile(r"statements/([1-9][0-9]{0,9})/([1-9][0-9]{0,9})\.json")
Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


@router.head("/deployment.json", include_in_schema=False)
@router.get("/deployment.json", response_class=Response, summary="The deployment")
async def get_deployment_file(request: Request, service: ServiceDep) -> Response:
    """As `GET /v1/deployment`."""
    return _document(request, await get_deployment(service))


@router.head("/anchors.json", include_in_schema=False)
@router.get("/anchors.json", response_class=Response, summary="Checkpoints on chain")
async def get_anchors_file(request: Request, service: ServiceDep) -> Response:
    """As `GET /v1/anchors`."""
    return _document(request, _plain(await get_anchors(service)))


@router.head("/campaigns.json", include_in_schema=False)
@router.get("/campaigns.json", response_class=Response, summary="All campaigns")
async def get_campaigns_file(request: Request, service: ServiceDep) -> Response:
    """As `GET /v1/campaigns`."""
    return _document(request, _plain(await get_campaigns(service)))


@router.head("/statements/{campaign}/{sequence}.json", include_in_schema=False)
@router.get(
    "/statements/{campaign}/{sequence}.json", response_class=Response, summary="One statement"
)
async def get_statement_file(
    campaign: Number, sequence: Number, request: Request, service: ServiceDep
) -> Response:
    """As `GET /v1/campaigns/{id}/statements/{sequence}`; sequences count from 1 without a gap."""
    ids = int(campaign), int(sequence)
    if max(ids) > UINT32_MAX:
        raise NotFound("no such statement", expected="ids of 32 bits", found=f"{ids}")
    statement = await get_one_statement(*ids, service)
    return _document(request, statement.model_dump(mode="json"))


@router.head("/rules/{sha256}.json", include_in_schema=False)
@router.get("/rules/{sha256}.json", response_class=Response, summary="Rules or a list, by hash")
async def get_rules_file(sha256: Sha256, request: Request, service: ServiceDep) -> Response:
    """A rule set of the log, or the list of user agents: the very bytes that are hashed."""
    for content in (*service.sequencer.rule_sets(), published_list()):
        if hashlib.sha256(content).hexdigest() == sha256:
            return answer(
                request,
                content,
                media_type="application/json",
                etag=f'"{sha256}"',
                cache_control=FOREVER,
            )
    raise NotFound(
        "no rules with this hash",
        field="sha256",
        expected="a rule set of this log, or a list of this service",
        found=sha256,
    )


@router.head("/{document:path}.note", include_in_schema=False)
@router.get("/{document:path}.note", response_class=Response, summary="A document's signature")
async def get_note(document: str, request: Request, service: ServiceDep) -> Response:
    """A signed note by the key of the checkpoints: this document, with this SHA-256."""
    content = canonical_json(await _content(document, service))
    note = sign_document(service.note_signer, document, content)
    return answer(
        request,
        note,
        media_type="text/plain; charset=utf-8",
        etag=f'"{hashlib.sha256(note).hexdigest()}"',
        cache_control=BRIEFLY,
    )


async def _content(document: str, service: Service) -> object:
    """A document that is signed; raises NotFound for all others."""
    match = _STATEMENT.fullmatch(document)
    if match is not None:
        campaign, sequence = (min(int(number), UINT32_MAX) for number in match.groups())
        statement = await get_one_statement(campaign, sequence, service)
        return statement.model_dump(mode="json")
    match document:
        case "deployment.json":
            return await get_deployment(service)
        case "anchors.json":
            return _plain(await get_anchors(service))
        case "cosigners.json":
            return await cosigners(service)
        case "campaigns.json":
            return _plain(await get_campaigns(service))
        case _:
            raise NotFound(
                "no such document", field="document", expected="a document", found=document[:80]
            )


def _plain(models: Sequence[BaseModel]) -> list[object]:
    return [model.model_dump(mode="json") for model in models]


def _document(request: Request, document: object) -> Response:
    content = canonical_json(document)
    return answer(
        request,
        content,
        media_type="application/json",
        etag=f'"{hashlib.sha256(content).hexdigest()}"',
        cache_control=BRIEFLY,
    )
