"""Taking in attestors' answers: only a signature that the contracts would take is recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from adtally.attestation.answers import SignedRefusal
from adtally.errors import InvalidInput, NotAllowed
from adtally.events.attested import refusal_message
from adtally.events.signature import require_signer
from adtally.intake.clock import Clock
from adtally.storage.database import Database
from adtally.storage.repositories import attestations
from adtally.storage.rows import AttestationRow, AttestorSetRow, RequestKind, RequestRow
from adtally.types import Address, LogIdentity


class AttestationDesk:
    """Where attestors fetch requests and leave signatures or signed refusals.

    Args:
        identity: what refusals' signatures are bound to.
    """

    def __init__(self, database: Database, clock: Clock, identity: LogIdentity) -> None:
        self._database = database
        self._clock = clock
        self._identity = identity

    async def open_requests(self, attestor: Address, limit: int = 100) -> list[RequestRow]:
        """Requests to ``attestor`` that it has not signed, by ascending tree size.

        Those it refused stay in the list: the reason may pass. Empty for an address that is in no
        attestor set now.
        """
        async with self._database.session() as session:
            sets = await attestations.current_attestor_sets(session)
            mine = [row.attestor_set for row in sets.values() if attestor in row.attestors]
            return await attestations.open_requests(session, attestor, mine, limit=limit)

    async def record_signature(
        self, request: int, attestor: Address, signature: bytes
    ) -> AttestationRow:
        """Record a signature; the same one again changes nothing.

        Raises:
            NotFound: no such request.
            NotAllowed: the attestor is not in the set that was asked.
            VerificationFailed: not this attestor's signature over the request's digest.
            Conflict: it has signed with another signature already.
        """
        asked = await self._asked(request, attestor)
        what = "checkpoint" if asked.kind is RequestKind.CHECKPOINT else "statement"
        require_signer(asked.digest, signature, attestor, what)
        return await self._record(
            AttestationRow(request, attestor, signature, None, self._clock.now_ms())
        )

    async def record_refusal(self, request: int, signed: SignedRefusal) -> AttestationRow:
        """Record that an attestor will not sign, and why; a signature may still follow.

        Raises:
            NotFound, NotAllowed: as ``record_signature``.
            InvalidInput: it refuses something else, or says too much.
            VerificationFailed: the attestor has not signed it.
            Conflict: it has signed what was asked already.
        """
        asked = await self._asked(request, signed.attestor)
        refusal = signed.refusal
        refusal.require_short()
        if refusal.digest != asked.digest:
            raise InvalidInput(
                "the refusal is of something else",
                field="refusal.digest",
                expected=f"0x{asked.digest.hex()}, which request {request} asks for",
                found=f"0x{refusal.digest.hex()}",
            )
        digest = refusal_message(self._identity, refusal).digest
        require_signer(digest, signed.signature, signed.attestor, "refusal")
        document = json.dumps(signed.to_json())
        return await self._record(
            AttestationRow(request, signed.attestor, None, document, self._clock.now_ms())
        )

    async def _asked(self, request: int, attestor: Address) -> RequestRow:
        async with self._database.session() as session:
            row = await attestations.get_request(session, request)
            sets = await attestations.current_attestor_sets(session)
        _require_member(sets.get(row.attestor_set), row, attestor)
        return row

    async def _record(self, row: AttestationRow) -> AttestationRow:
        async with self._database.transaction() as session:
            return await attestations.record_attestation(session, row)


def _require_member(asked: AttestorSetRow | None, row: RequestRow, attestor: Address) -> None:
    members = () if asked is None else asked.attestors
    if attestor not in members:
        raise NotAllowed(
            "the attestor is not in the set that was asked",
            field="attestor",
            expected=f"a member of attestor set {row.attestor_set}: "
            + ", ".join(f"0x{member.hex()}" for member in members),
            found=f"0x{attestor.hex()}",
        )


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request and where it stands: who answered what, and who has not.

    Attributes:
        asked: the attestor set as it is now.
        answers: of its members, ascending.
        missing: members that have answered nothing.
    """

    request: RequestRow
    asked: AttestorSetRow
    answers: tuple[AttestationRow, ...]

    @property
    def signed(self) -> list[AttestationRow]:
        return [answer for answer in self.answers if answer.signature is not None]

    @property
    def refused(self) -> list[AttestationRow]:
        return [answer for answer in self.answers if answer.signature is None]

    @property
    def missing(self) -> list[Address]:
        answered = {answer.attestor for answer in self.answers}
        return [member for member in self.asked.attestors if member not in answered]

    @property
    def is_complete(self) -> bool:
        """Whether enough have signed."""
        return len(self.signed) >= self.asked.threshold


async def view_request(session: AsyncSession, row: RequestRow) -> RequestView:
    """Where a request stands."""
    sets = await attestations.current_attestor_sets(session)
    asked = sets.get(row.attestor_set) or AttestorSetRow(row.attestor_set, 0, 0, ())
    answers = await attestations.list_attestations(session, row.id)
    of_members = tuple(answer for answer in answers if answer.attestor in asked.attestors)
    return RequestView(row, asked, of_members)
