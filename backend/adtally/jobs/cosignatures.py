"""Taking in attestors' cosignatures of checkpoints, and the note that carries them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from adtally.chain.deployment import Deployment
from adtally.errors import Conflict, InvalidInput, NotAllowed, NotFound
from adtally.events.cosigner_key import CosignerKey
from adtally.events.eip712 import log_domain
from adtally.intake.clock import Clock
from adtally.intake.sequencer import Sequencer
from adtally.log.checkpoint import (
    NoteSignature,
    NoteSigner,
    SignedNote,
    format_checkpoint,
    sign_checkpoint,
)
from adtally.log.cosignature import (
    CosignatureVerifier,
    cosigner_name,
    timestamp_of,
    with_cosignatures,
)
from adtally.storage.database import Database
from adtally.storage.repositories import cosigners
from adtally.storage.repositories.attestations import current_attestor_sets
from adtally.storage.rows import AttestorSetRow, CosignatureRow
from adtally.types import Checkpoint

logger = logging.getLogger(__name__)

MAX_SKEW_MS = 300_000
"""How far an attestor's clock may run ahead."""


class CosignatureDesk:
    """Where attestors declare their cosigner keys and leave cosignatures."""

    def __init__(
        self, database: Database, clock: Clock, sequencer: Sequencer, deployment: Deployment
    ) -> None:
        self._database = database
        self._clock = clock
        self._sequencer = sequencer
        self._deployment = deployment

    def verifier(self, key: CosignerKey) -> CosignatureVerifier:
        """The verifier of the cosignatures of this log that are made with a declared key."""
        name = cosigner_name(self._deployment.log_origin, key.attestor)
        return CosignatureVerifier(name, key.public_key)

    async def declared(self) -> list[CosignerKey]:
        """All declarations ever taken, oldest first."""
        async with self._database.session() as session:
            return await cosigners.list_cosigners(session)

    async def declare(self, key: CosignerKey) -> None:
        """Take an attestor's declaration; the same one again changes nothing.

        Raises:
            VerificationFailed: it is not signed by the attestor.
            NotAllowed: the attestor is not in the log's set.
            InvalidInput: it is dated in the future.
            Conflict: another one is as new, or the key has been declared already.
        """
        key.verify_signature(log_domain(self._deployment.log_identity))
        self._check_time("declared_at_ms", key.declared_at_ms)
        async with self._database.transaction() as session:
            _require_attestor(await self._attestor_set(session), key.attestor)
            known = await cosigners.list_cosigners(session)
            if key in known:
                return
            _check_new(key, known)
            await cosigners.add_cosigner(session, key)

    async def record(self, checkpoint: Checkpoint, line: NoteSignature) -> None:
        """Take a cosignature of a checkpoint; the same one again changes nothing.

        Raises:
            NotAllowed: it is of no key that counts now.
            InvalidInput: larger than the log, or of the future.
            VerificationFailed: the signature is wrong.
            Conflict: another root, or older than what this cosigner or enough others have signed.
        """
        async with self._database.transaction() as session:
            key = await self._cosigner(session, line)
            verifier = self.verifier(key)
            text = format_checkpoint(self._deployment.log_origin, checkpoint)
            seconds = verifier.timestamp_seconds(SignedNote(text, (line,)))
            self._check_time("timestamp", seconds * 1000)
            self._check_root(checkpoint, verifier.name)
            _check_not_outgrown(checkpoint.tree_size, await self._best(session))
            row = CosignatureRow(checkpoint.tree_size, key.public_key, line.signature)
            kept = await cosigners.list_cosignatures(session)
            _check_newer(row, [each for each in kept if each.public_key == key.public_key])
            await cosigners.put_cosignature(session, row)
            best = await self._best(session)
            await cosigners.drop_cosignatures_below(session, best or 0)

    async def note(self, signer: NoteSigner) -> bytes:
        """The largest checkpoint that the set's threshold has cosigned, signed by the log as well.

        Before there is one: the largest that anybody has cosigned.

        Raises:
            NotFound: nobody has cosigned anything.
        """
        async with self._database.session() as session:
            size = await self._best(session)
            rows = await self._rows(session)
            if size is None:
                size = max((row.tree_size for row, _ in rows), default=None)
        if size is None:
            raise NotFound(
                "no checkpoint has been cosigned yet",
                expected="cosignatures of attestors (POST /v1/log/cosignatures)",
            )
        lines = [
            NoteSignature(verifier.name, verifier.key_id, row.timestamped_signature)
            for row, verifier in rows
            if row.tree_size == size
        ]
        return with_cosignatures(sign_checkpoint(signer, self._sequencer.checkpoint(size)), lines)

    # Inside ------------------------------------------------------------------------------------

    async def _attestor_set(self, session: AsyncSession) -> AttestorSetRow | None:
        return (await current_attestor_sets(session)).get(self._deployment.attestor_set)

    async def _current(self, session: AsyncSession) -> list[CosignerKey]:
        """Each attestor's newest key, of those in the set now."""
        row = await self._attestor_set(session)
        members = () if row is None else row.attestors
        newest = {key.attestor: key for key in await cosigners.list_cosigners(session)}
        return [key for attestor, key in sorted(newest.items()) if attestor in members]

    async def _cosigner(self, session: AsyncSession, line: NoteSignature) -> CosignerKey:
        current = await self._current(session)
        for key in current:
            if self.verifier(key).made(line):
                return key
        raise NotAllowed(
            "no attestor cosigns with this key",
            field="line",
            expected="name and key id of one of: "
            + (", ".join(str(self.verifier(key)) for key in current) or "nobody"),
            found=f"{line.name} {line.key_id.hex()}",
            action="declare the key first (POST /v1/log/cosigners), as an attestor of the log",
        )

    async def _rows(
        self, session: AsyncSession
    ) -> list[tuple[CosignatureRow, CosignatureVerifier]]:
        """Cosignatures by keys that count now."""
        verifiers = {key.public_key: self.verifier(key) for key in await self._current(session)}
        rows = await cosigners.list_cosignatures(session)
        return [(row, verifiers[row.public_key]) for row in rows if row.public_key in verifiers]

    async def _best(self, session: AsyncSession) -> int | None:
        """The largest size that as many have cosigned as the set demands."""
        attestor_set = await self._attestor_set(session)
        if attestor_set is None:
            return None
        sizes = [row.tree_size for row, _ in await self._rows(session)]
        enough = {size for size in sizes if sizes.count(size) >= attestor_set.threshold}
        return max(enough, default=None)

    def _check_time(self, field: str, at_ms: int) -> None:
        now_ms = self._clock.now_ms()
        if at_ms > now_ms + MAX_SKEW_MS:
            raise InvalidInput(
                f"{field} is in the future",
                field=field,
                expected=f"at most {now_ms + MAX_SKEW_MS} ms",
                found=f"{at_ms} ms",
                action="set the clock",
            )

    def _check_root(self, checkpoint: Checkpoint, name: str) -> None:
        size = self._sequencer.tree.size
        if checkpoint.tree_size > size:
            raise InvalidInput(
                "the checkpoint is beyond the log",
                field="tree_size",
                expected=f"at most {size}",
                found=str(checkpoint.tree_size),
            )
        expected = self._sequencer.checkpoint(checkpoint.tree_size).root_hash
        if expected != checkpoint.root_hash:
            logger.error("%s has cosigned another log: %s", name, checkpoint)
            raise Conflict(
                "the checkpoint is not this log's",
                field="root_hash",
                expected=f"0x{expected.hex()}",
                found=f"0x{checkpoint.root_hash.hex()}",
                action="compare entries: one of the two logs is forged",
            )


def _require_attestor(row: AttestorSetRow | None, attestor: bytes) -> None:
    members = () if row is None else row.attestors
    if attestor not in members:
        raise NotAllowed(
            "only the log's attestors cosign",
            field="attestor",
            expected="one of " + (", ".join(f"0x{each.hex()}" for each in members) or "nobody"),
            found=f"0x{attestor.hex()}",
        )


def _check_new(key: CosignerKey, known: Sequence[CosignerKey]) -> None:
    if any(each.public_key == key.public_key for each in known):
        raise Conflict(
            "this key has been declared already",
            field="public_key",
            expected="a key of the attestor's own, never declared before",
            found=f"0x{key.public_key.hex()}",
        )
    newest = [each.declared_at_ms for each in known if each.attestor == key.attestor][-1:]
    if newest and key.declared_at_ms <= newest[0]:
        raise Conflict(
            "the attestor has declared a key since",
            field="declared_at_ms",
            expected=f"more than {newest[0]}",
            found=str(key.declared_at_ms),
        )


def _check_not_outgrown(tree_size: int, best: int | None) -> None:
    if best is not None and tree_size < best:
        raise Conflict(
            "enough attestors have cosigned a larger log",
            field="tree_size",
            expected=f"{best} or more",
            found=str(tree_size),
        )


def _check_newer(new: CosignatureRow, kept: Sequence[CosignatureRow]) -> None:
    """A cosigner's sizes never fall, nor do its times."""
    if not kept:
        return
    last = kept[-1]
    seconds, before = (timestamp_of(each.timestamped_signature) for each in (new, last))
    if (new.tree_size, seconds) < (last.tree_size, before) or seconds < before:
        raise Conflict(
            "the cosignature is older than this cosigner's last",
            field="tree_size" if new.tree_size < last.tree_size else "timestamp",
            expected=f"size {last.tree_size} or more, at {before} s or later",
            found=f"size {new.tree_size} at {seconds} s",
        )
