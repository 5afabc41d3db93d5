"""Collecting a quorum from attestors' own stores: what they have signed, and what they sign now."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from adtally.attestation.answers import Domains, Signed
from adtally.attestor.peers import signed_by
from adtally.attestor.sources import LogSource, SourceFailed
from adtally.chain.connection import Chain
from adtally.chain.contracts.attestor_sets import ATTESTOR_SET_NAMED, decode_attestor_set_named
from adtally.chain.contracts.quorum import Quorum, make_quorum
from adtally.chain.deployment import Deployment
from adtally.client.fields import Fields
from adtally.errors import AdtallyError
from adtally.types import Address, Checkpoint, Hash, Statement

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AttestorSetNow:
    """A set's current version."""

    threshold: int
    attestors: tuple[Address, ...]


async def sets_on_chain(chain: Chain, deployment: Deployment) -> dict[int, AttestorSetNow]:
    """Every attestor set as it is now, by id."""
    latest = await chain.latest()
    address = deployment.event_log.address
    logs = await chain.logs(deployment.block_number, latest.number, [address])
    named = [decode_attestor_set_named(log) for log in logs if ATTESTOR_SET_NAMED.matches(log)]
    return {
        each.attestor_set: AttestorSetNow(each.threshold, each.attestors)
        for each in sorted(named, key=lambda each: each.version)
    }


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """What an attestor says of itself."""

    source: LogSource
    tree_size: int


class QuorumHunt:
    """Signatures of one pass, from all stores that answer.

    Nothing that a store says is believed but signatures that verify.
    """

    def __init__(
        self, sources: Sequence[LogSource], domains: Domains, sets: dict[int, AttestorSetNow]
    ) -> None:
        self._sources = sources
        self._domains = domains
        self._sets = sets
        self._signed: dict[Hash, dict[Address, Signed]] = defaultdict(dict)
        self.problems: dict[str, str] = {}
        """What each store last refused, by its address."""

    async def statuses(self) -> list[StoreStatus]:
        """The stores that answer, the longest first."""
        found = []
        for source in self._sources:
            try:
                status = Fields(await source.json("/status"), "status")
                found.append(StoreStatus(source, status.integer("tree_size")))
            except AdtallyError as error:
                self.problems[source.url] = str(error)
        return sorted(found, key=lambda status: status.tree_size, reverse=True)

    async def gather(self) -> None:
        """Take in everything that any store knows to be signed by any attestor."""
        members = {member for each in self._sets.values() for member in each.attestors}
        for source in self._sources:
            for member in sorted(members):
                try:
                    for signed in await signed_by(source, self._domains, member):
                        self._keep(signed)
                except SourceFailed as error:
                    self.problems[source.url] = str(error)
                    break

    def _keep(self, signed: Signed) -> None:
        self._signed[self._domains.digest(signed.content)][signed.attestor] = signed

    def signed_checkpoints(self) -> list[Checkpoint]:
        """Checkpoints with any signature, largest first."""
        found = [each.content for each in self._contents() if isinstance(each.content, Checkpoint)]
        return sorted(
            (each for each in found if isinstance(each, Checkpoint)),
            key=lambda each: each.tree_size,
            reverse=True,
        )

    def signed_statements(self, campaign: int, sequence: int) -> list[Statement]:
        """Statements of one sequence with any signature, those with most signatures first."""
        found = [
            (len(by_attestor), next(iter(by_attestor.values())).content)
            for by_attestor in self._signed.values()
        ]
        statements = [
            (count, content)
            for count, content in found
            if isinstance(content, Statement)
            and (content.campaign, content.sequence) == (campaign, sequence)
        ]
        return [content for _, content in sorted(statements, key=lambda pair: -pair[0])]

    def _contents(self) -> list[Signed]:
        return [next(iter(by_attestor.values())) for by_attestor in self._signed.values()]

    def quorum(self, content: Checkpoint | Statement, attestor_set: int) -> Quorum | None:
        """Enough signatures of the set as it is now, None as long as there are too few."""
        asked = self._sets.get(attestor_set)
        if asked is None:
            return None
        signed = self._signed.get(self._domains.digest(content), {})
        usable = {
            attestor: each.signature
            for attestor, each in signed.items()
            if attestor in asked.attestors
        }
        if len(usable) < asked.threshold:
            return None
        return make_quorum(asked.threshold, asked.attestors, usable)

    def threshold(self, attestor_set: int) -> int:
        """How many of a set must sign."""
        return self._sets[attestor_set].threshold

    async def propose(self, content: Checkpoint | Statement, attestor_set: int) -> Quorum | None:
        """Ask every store to sign, unless there are enough signatures already."""
        found = self.quorum(content, attestor_set)
        if found is not None:
            return found
        await asyncio.gather(*(self._propose_to(source, content) for source in self._sources))
        return self.quorum(content, attestor_set)

    async def _propose_to(self, source: LogSource, content: Checkpoint | Statement) -> None:
        document = Signed(content, b"", b"").to_json()
        del document["attestor"], document["signature"]
        try:
            answer = await source.post("/attestations/proposals", document)
            signed = self._domains.read_signed(answer)
        except AdtallyError as error:
            self.problems[source.url] = str(error)
            logger.info("%s does not sign: %s", source.url, error)
            return
        if signed.content == content:
            self._keep(signed)
