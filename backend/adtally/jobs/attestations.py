"""Taking in attestors' answers: only a signature that the contracts would take is recorded."""

from __future__ import annotations

from adtally.errors import InvalidInput, NotAllowed
from adtally.events.signature import require_signer
from adtally.intake.clock import Clock
from adtally.storage.database import Database
from adtally.storage.repositories import attestations
from adtally.storage.rows import AttestationRow, AttestorSetRow, RequestKind, RequestRow
from adtally.types import Address

MAX_REASON_CHARACTERS = 2_000


class AttestationDesk:
    """Where attestors fetch requests and leave signatures or refusals."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def open_requests(self, attestor: Address, limit: int = 100) -> list[RequestRow]:
        """Requests to ``attestor`` that it has not signed, by ascending tree size.

        Those it refused stay in the list: anybody can leave a refusal in its name. Empty for an
        address that is in no attestor set now.
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

    async def record_refusal(self, request: int, attestor: Address, reason: str) -> AttestationRow:
        """Record that the attestor will not sign, and why.

        Refusals are not signed, so they count for nothing: a signature may still follow.

        Raises:
            NotFound, NotAllowed: as ``record_signature``.
            InvalidInput: no reason, or one too long.
            Conflict: it has signed already.
        """
        if not 0 < len(reason.strip()) <= MAX_REASON_CHARACTERS or "\0" in reason:
            raise InvalidInput(
                "a refusal gives its reason",
                field="refusal.reason",
                expected=f"1 to {MAX_REASON_CHARACTERS} characters of text",
                found=f"{len(reason)} characters",
            )
        await self._asked(request, attestor)
        return await self._record(
            AttestationRow(request, attestor, None, reason, self._clock.now_ms())
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
