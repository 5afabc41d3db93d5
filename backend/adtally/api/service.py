"""The parts that requests work with, put together once by ``adtally.app``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from adtally.analytics.derive import Deriver
from adtally.chain.deployment import Deployment
from adtally.collector.hits import HitDesk
from adtally.config import Settings
from adtally.evidence.desk import ProofDesk
from adtally.intake.clock import Clock
from adtally.intake.sequencer import Sequencer
from adtally.jobs.archive import ArchiveJob
from adtally.jobs.attestations import AttestationDesk
from adtally.log.checkpoint import NoteSigner
from adtally.storage.database import Database


@dataclass(frozen=True)
class Service:
    """One running service."""

    settings: Settings
    deployment: Deployment
    clock: Clock
    sequencer: Sequencer
    database: Database
    desk: AttestationDesk
    note_signer: NoteSigner
    deriver: Deriver
    hits: HitDesk
    proofs: ProofDesk
    archive: ArchiveJob | None = None


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]
