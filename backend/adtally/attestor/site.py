"""What an attestor serves: its copy of the log under the operator's own paths, and its answers.

Auditors and members use it in the operator's place, unchanged. It is read-only but for two things
that change nothing without a valid signature or its own judgement: peers leave copies of what they
signed, and with the operator gone they propose what is to be signed to finish.

Statements are not among the log's files here: those carry the operator's signature, which nobody
else can make. Auditors take them from ``/v1/campaigns/`` and check every line against the log.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.responses import FileResponse, Response
from fastapi_offline import FastAPIOffline

from adtally import __version__
from adtally.api import log, log_files, problems
from adtally.api.body import BodyLimit
from adtally.api.caching import BRIEFLY, answer
from adtally.attestation.answers import Signed
from adtally.attestation.documents import (
    checkpoint_json,
    line_json,
    parse_checkpoint,
    parse_statement,
    statement_json,
)
from adtally.attestor.attesting import Attesting
from adtally.attestor.log_copy import LogCopy
from adtally.attestor.rounds import Rounds
from adtally.errors import InvalidInput, NotAllowed, NotFound
from adtally.log.canonical_json import canonical_json
from adtally.log.store import LogStore
from adtally.log.stored_tree import StoredTree
from adtally.types import Address, Checkpoint, Statement

MAX_BODY_BYTES = 16_384
DESCRIPTION = """
One attestor's own copy of the log, its statements, signatures and refusals. Nothing here comes
from the operator unverified, and nothing here needs the operator.
"""

AddressText = Annotated[str, Query(pattern="^0x[0-9a-fA-F]{40}$")]


@dataclass(frozen=True)
class _PublishedLog:
    """The copy of the log as the routes of the public log (``adtally.api.log``) read it."""

    copy: LogCopy

    @property
    def tree(self) -> StoredTree:
        return self.copy.tree

    @property
    def store(self) -> LogStore:
        return self.copy.store

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        return self.copy.checkpoint(size)


@dataclass(frozen=True)
class AttestorSite:
    """The parts that requests work with.

    Attributes:
        deployment: the deployment document, with ``note_verifier``.
        members: addresses that may leave signatures: the deployment's attestors.
    """

    attesting: Attesting
    rounds: Rounds
    deployment: dict[str, Any]
    members: tuple[Address, ...]
    folder: Path

    @property
    def sequencer(self) -> _PublishedLog:
        """The name under which the log's routes look for it."""
        return _PublishedLog(self.attesting.follower.copy)


def _site(request: Request) -> AttestorSite:
    site: AttestorSite = request.app.state.service
    return site


SiteDep = Annotated[AttestorSite, Depends(_site)]
router = APIRouter(tags=["attestor"])


@router.head("/log/checkpoint", include_in_schema=False)
@router.get("/log/checkpoint", summary="The operator's newest checkpoint that is stored here")
async def get_checkpoint(request: Request, site: SiteDep) -> Response:
    """Every entry that it covers was verified and is served here."""
    note = site.attesting.follower.note
    if note is None:
        raise NotFound("no checkpoint is verified yet", action="ask again in a while")
    return log.note_answer(request, note)


@router.head("/log/cosigned-checkpoint", include_in_schema=False)
@router.get("/log/cosigned-checkpoint", summary="The newest note with this attestor's line")
async def get_cosigned_checkpoint(request: Request, site: SiteDep) -> Response:
    """Signed by the log and cosigned by this attestor (C2SP tlog-cosignature)."""
    cosigning = site.rounds.cosigning
    note = None if cosigning is None else cosigning.note
    if note is None:
        raise NotFound("nothing is cosigned yet", action="ask again in a while")
    return log.note_answer(request, note)


@router.get("/log/deployment.json", summary="The deployment, canonical")
async def get_deployment_file(request: Request, site: SiteDep) -> Response:
    """As `GET /v1/deployment`."""
    return _canonical(request, site.deployment)


@router.get("/log/anchors.json", summary="Checkpoints on chain, canonical")
async def get_anchors_file(request: Request, site: SiteDep) -> Response:
    """As `GET /v1/anchors`."""
    return _canonical(request, await get_anchors(site))


def _canonical(request: Request, document: object) -> Response:
    content = canonical_json(document)
    return answer(
        request,
        content,
        media_type="application/json",
        etag=f'"{hashlib.sha256(content).hexdigest()}"',
        cache_control=BRIEFLY,
    )


@router.get("/deployment", summary="Chain, contracts, keys: what signatures are bound to")
async def get_deployment(site: SiteDep) -> dict[str, Any]:
    """The deployment file as this attestor checked it against the chain."""
    return site.deployment


@router.get("/log/rules/{name}", response_class=FileResponse, summary="A rule set by its SHA-256")
async def get_rules(name: str, site: SiteDep) -> FileResponse:
    """As it stands in the log."""
    digest = name.removesuffix(".json")
    path = site.folder / "rules" / f"{digest}.json"
    is_digest = len(digest) == 64 and all(char in "0123456789abcdef" for char in digest)
    if not is_digest or not path.exists():
        raise NotFound("no such rule set is in the log", field="hash", found=name[:80])
    return FileResponse(path, media_type="application/json")


@router.get("/status", summary="Where this attestor stands")
async def get_status(site: SiteDep) -> dict[str, Any]:
    """What is stored and anchored, and what holds it up."""
    attesting = site.attesting
    stored = attesting.follower.copy.checkpoint()
    return {
        "attestor": f"0x{attesting.desk.signer.address.hex()}",
        **checkpoint_json(stored),
        "anchored_tree_size": max(attesting.chain.anchors, default=0),
        "chain_block": attesting.chain.looked_to,
        "is_signing": attesting.desk.record.is_confirmed and attesting.desk.record.conflict is None,
        "conflict": attesting.desk.record.conflict,
        "is_operator_gone": attesting.is_operator_gone,
        "trouble": site.rounds.trouble,
    }


@router.get("/anchors", summary="Checkpoints on chain")
async def get_anchors(site: SiteDep) -> list[dict[str, Any]]:
    """By tree size; final ones only."""
    return [
        checkpoint_json(each.content)
        | {
            "anchor_number": each.number,
            "transaction_hash": f"0x{each.transaction.hex()}",
            "block_number": each.block_number,
            "gas_used": None,
        }
        for _, each in sorted(site.attesting.chain.anchors.items())
        if isinstance(each.content, Checkpoint)
    ]


@router.get("/campaigns/{campaign}/statements", summary="Statements that were recomputed here")
async def get_statements(campaign: int, site: SiteDep) -> list[dict[str, Any]]:
    """By sequence, without their lines."""
    found = []
    for document in site.attesting.statements.of_campaign(campaign):
        published = _published(site, document)
        del published["lines"], published["attestations"]
        found.append(published)
    return found


@router.get("/campaigns/{campaign}/statements/{sequence}", summary="One with lines and proofs")
async def get_statement(campaign: int, sequence: int, site: SiteDep) -> dict[str, Any]:
    """The one on chain, where there is one; else the one that was signed here."""
    documents = site.attesting.statements.find(campaign, sequence)
    if not documents:
        raise NotFound(
            "this attestor has no such statement",
            field="sequence",
            found=f"statement {sequence} of campaign {campaign}",
        )
    published = [_published(site, document) for document in documents]
    mine = site.attesting.desk.signer.address
    published.sort(
        key=lambda each: (
            each["state"] != "settled",
            all(answer["attestor"] != f"0x{mine.hex()}" for answer in each["attestations"]),
        )
    )
    return published[0]


def _published(site: AttestorSite, document: dict[str, Any]) -> dict[str, Any]:
    attesting = site.attesting
    statement = parse_statement(document)
    settled = attesting.chain.statements.get((statement.campaign, statement.sequence))
    is_settled = settled is not None and settled.content == statement
    signatures = attesting.desk.book.signatures(statement)
    return document | {
        "state": "settled" if is_settled else "drafted",
        "transaction_hash": f"0x{settled.transaction.hex()}" if settled and is_settled else None,
        "attestations": [
            {
                "attestor": f"0x{attestor.hex()}",
                "signature": f"0x{signatures[attestor].hex()}",
                "refusal": None,
            }
            for attestor in sorted(signatures)
        ],
    }


@router.get("/attestations/signed", summary="Everything known to be signed by an attestor")
async def get_signed(
    attestor: AddressText, site: SiteDep, after: Annotated[int, Query(ge=0)] = 0
) -> list[dict[str, Any]]:
    """What an attestor asks for that has lost its record; all but the first ``after``."""
    address = bytes.fromhex(attestor[2:])
    return [signed.to_json() for signed in site.attesting.desk.book.all_signed(address, after)]


@router.get("/attestations/refusals", summary="What this attestor did not sign, and why")
async def get_refusals(site: SiteDep) -> list[dict[str, Any]]:
    """Signed by it, oldest first."""
    return [refusal.to_json() for refusal in site.attesting.desk.book.refusals()]


@router.post("/attestations/deposits", summary="Leave a copy of a signature")
async def post_deposit(document: dict[str, Any], site: SiteDep) -> dict[str, Any]:
    """Kept if it verifies and an attestor of the deployment made it."""
    signed = site.attesting.desk.domains.read_signed(document)
    if signed.attestor not in site.members:
        raise NotAllowed(
            "only attestors of this deployment leave signatures",
            field="attestor",
            expected=", ".join(f"0x{member.hex()}" for member in site.members),
            found=f"0x{signed.attestor.hex()}",
        )
    return {"kept": site.attesting.desk.book.add(signed)}


@router.post("/attestations/proposals", summary="Propose what is to be signed to finish")
async def post_proposal(document: dict[str, Any], site: SiteDep) -> dict[str, Any]:
    """With the operator gone: signed if it is what finishing needs now, by this one's judgement."""
    content: Checkpoint | Statement
    if set(document) == {"checkpoint"}:
        content = parse_checkpoint(document["checkpoint"])
    elif set(document) == {"statement"}:
        content = parse_statement(document["statement"])
    else:
        raise InvalidInput("a proposal is one checkpoint or statement", found=str(set(document)))
    async with site.rounds.lock:
        signed: Signed = await site.attesting.propose(content)
    return signed.to_json()


@router.get("/attestations/computed", summary="What a campaign owes over everything stored")
async def get_computed(
    campaign: Annotated[int, Query(ge=1)],
    sequence: Annotated[int, Query(ge=1)],
    tree_size: Annotated[int, Query(ge=1)],
    site: SiteDep,
) -> dict[str, Any]:
    """The statement and lines as computed here, final if the log shows that it may be."""
    stored = site.attesting.follower.copy.size
    if tree_size != stored:
        # Older sizes could cost a replay, whoever asks.
        raise NotFound(
            "this attestor computes over what it has stored now",
            field="tree_size",
            expected=str(stored),
            found=str(tree_size),
        )
    async with site.rounds.lock:
        own, _ = await site.attesting.computed(campaign, sequence, tree_size, is_final=False)
        own, lines = await site.attesting.computed(
            campaign, sequence, tree_size, is_final=own.may_be_final
        )
    return statement_json(own.statement) | {"lines": [line_json(line) for line in lines]}


def create_site(site: AttestorSite) -> FastAPI:
    """The application; ``site`` stands where the log's routes look for a service."""
    app = FastAPIOffline(title="adtally attestor", version=__version__, description=DESCRIPTION)
    app.state.service = site
    app.add_middleware(BodyLimit, limit_bytes=MAX_BODY_BYTES)
    problems.install(app)
    v1 = APIRouter(prefix="/v1")
    # First: of two routes for a path the first one answers, and the checkpoint is our own.
    v1.include_router(router)
    v1.include_router(log.router)
    v1.include_router(log_files.router)
    app.include_router(v1)
    return app
