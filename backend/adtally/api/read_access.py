"""Who may read what, where the log is not open to everybody (``ADTALLY_READ_ACCESS``).

Everything that is not named here needs a grant, so a new endpoint is closed until somebody opens
it. Only reading is guarded: whatever is handed in carries a signature of its own. What stays open
to all is what holds the operator to its word and tells no business: checkpoints, hashes, proofs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adtally.api.problems import problem_of
from adtally.api.service import Service
from adtally.errors import AdtallyError, NotAllowed, VerificationFailed
from adtally.events.eip712 import log_domain
from adtally.events.read_grant import ATTESTOR, MAX_LIFETIME_SECONDS, SCHEME, ReadGrant
from adtally.settlement.machine import LogMachine
from adtally.storage.repositories.attestations import current_attestor_sets
from adtally.types import Role

_OPEN = re.compile(
    r"/(docs(/.*)?|redoc|openapi\.json|static-offline-docs/.*)"
    r"|/v1/(health|status|deployment|anchors|collector|collector/user-agents)"
    r"|/v1/log/(checkpoint|cosigned-checkpoint)"
    r"|/v1/log/(deployment|anchors|cosigners)\.json(\.note)?"
    r"|/v1/log/rules/[^/]*"
    r"|/v1/log/proofs/(inclusion|consistency)"
    r"|/v1/log/tile/[0-9].*"
)
_CAMPAIGN = re.compile(
    r"/v1/(?:campaigns/([1-9][0-9]{0,9})(?:/.*)?|log/statements/([1-9][0-9]{0,9})/.*)"
)
_MEMBER = re.compile(r"/v1/(?:members|events)/([1-9][0-9]{0,9})(?:/.*)?")
_WRITING = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: a member, or an attestor; ``sees_all`` of attestors and the operator."""

    member: int
    sees_all: bool


class ReadAccess:
    """Refuses reading without a grant, and keeps what is granted out of shared caches."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] != "http" or scope["method"] in _WRITING
        if is_open or _OPEN.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            reader = await self._reader(Headers(scope=scope))
            await self._service.sequencer.read(self._check(scope["path"], reader))
        except AdtallyError as error:
            response = problem_of(error)
            if response.status_code == 401:
                response.headers["WWW-Authenticate"] = SCHEME
            await response(scope, receive, send)
            return
        await self._app(scope, receive, _privately(send))

    async def _reader(self, headers: Headers) -> Reader:
        given = headers.getlist("authorization")
        if len(given) != 1:
            raise VerificationFailed(
                "this is not open to everybody",
                field="authorization",
                expected=f"one header Authorization: {SCHEME} ... (a signed read grant)",
                found=f"{len(given)} such headers",
                action="sign a grant with the member's event key (docs/spec/log.md)",
            )
        grant = ReadGrant.from_header(given[0])
        now_ms = self._service.clock.now_ms()
        _check_time(grant, now_ms // 1000)
        if not grant.is_signed(log_domain(self._service.deployment.log_identity)):
            raise _not_signed(grant)
        if grant.member != ATTESTOR:
            return await self._service.sequencer.read(
                lambda machine: _member(grant, machine, now_ms)
            )
        async with self._service.database.session() as session:
            sets = await current_attestor_sets(session)
        if any(grant.signer in row.attestors for row in sets.values()):
            return Reader(ATTESTOR, sees_all=True)
        raise _not_signed(grant)

    def _check(self, path: str, reader: Reader) -> Callable[[LogMachine], None]:
        """What raises NotAllowed, given the machine, unless the reader may read the path."""

        def check(machine: LogMachine) -> None:
            everything = reader.sees_all or self._service.settings.read_access == "members"
            if not everything and not _is_own(path, reader.member, machine):
                raise NotAllowed(
                    "this is not open to this member",
                    field="path",
                    expected="a campaign that the member takes part in, or its own records",
                    found=path[:200],
                )

        return check


def _is_own(path: str, member: int, machine: LogMachine) -> bool:
    if match := _MEMBER.fullmatch(path):
        return int(match[1]) == member
    match = _CAMPAIGN.fullmatch(path)
    campaign = machine.facts.campaigns.get(int(match[1] or match[2])) if match else None
    if campaign is None:
        return False
    payees = {cut.member for cut in campaign.terms.cuts}
    return member == campaign.advertiser or member in campaign.orders or member in payees


def _member(grant: ReadGrant, machine: LogMachine, now_ms: int) -> Reader:
    """The member that the grant is for."""
    member = machine.facts.members.get(grant.member)
    if member is None or not member.accepts_key(grant.signer, now_ms):
        raise _not_signed(grant)
    return Reader(grant.member, sees_all=member.has_role(Role.OPERATOR))


def _check_time(grant: ReadGrant, now_seconds: int) -> None:
    if not now_seconds < grant.expires_at_seconds <= now_seconds + MAX_LIFETIME_SECONDS:
        raise VerificationFailed(
            "the read grant is not of now",
            field="authorization",
            expected=f"expiry after {now_seconds}, by {MAX_LIFETIME_SECONDS} s at most",
            found=str(grant.expires_at_seconds),
            action="sign a new one; check the clock",
        )


def _not_signed(grant: ReadGrant) -> VerificationFailed:
    return VerificationFailed(
        "the read grant is not signed by who it is for",
        field="authorization",
        expected="the event key of a registered member, or with member 0 an attestor's key",
        found=f"0x{grant.signer.hex()} for member {grant.member}",
    )


def _privately(send: Send) -> Send:
    """What one reader is granted must not be kept by a cache for others."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            kept = headers.get("cache-control", "no-store")
            headers["cache-control"] = kept.replace("public", "private")
            headers.append("vary", "Authorization")
        await send(message)

    return sending
