"""What this attestor has signed, kept so that it never signs two different things of one name.

A subject is ``checkpoint/<tree size>`` or ``statement/<campaign>/<sequence>``. The record holds at
most one digest for each. It is noted and synced before a key is asked to sign, so a kill at any
moment leaves at worst a digest that was never signed.

A record that comes from a backup lacks what was signed since. So it is only believed after the
chain and the peers were asked (``adtally.attestor.recall``): what they know is learned here first.
"""

from __future__ import annotations

import json
from pathlib import Path

from adtally.attestation.journal import Journal
from adtally.errors import Conflict, NotAllowed, StorageCorrupt
from adtally.types import Hash

_LEARNED = "learned"
_STOPPED = "stopped"


def checkpoint_subject(tree_size: int) -> str:
    """The name under which one root is signed."""
    return f"checkpoint/{tree_size}"


def statement_subject(campaign: int, sequence: int) -> str:
    """The name under which one statement is signed."""
    return f"statement/{campaign}/{sequence}"


class SigningRecord:
    """An append-only file of (subject, digest).

    Nothing can be noted before ``confirm``: until then the record may be an old one.
    """

    def __init__(self, path: Path) -> None:
        self._digests: dict[str, str] = {}
        self._is_confirmed = False
        self._conflict: str | None = None
        self._journal = Journal(path)
        for number, line in enumerate(self._journal.lines):
            self._load(line, f"{path}, line {number + 1}")

    def _load(self, line: bytes, where: str) -> None:
        try:
            subject, digest, *rest = json.loads(line)
            if subject == _STOPPED:
                self._conflict = str(digest)
                return
            if not isinstance(subject, str) or len(bytes.fromhex(digest)) != 32:
                raise ValueError("no subject and digest")
            if rest not in ([], [_LEARNED]) or self._digests.get(subject, digest) != digest:
                raise ValueError("two digests of one subject")
        except (ValueError, TypeError):
            raise StorageCorrupt(
                "the signing record is damaged",
                field=where,
                expected="a JSON list of subject and digest, one digest a subject",
                found=repr(line[:80]),
                action="bring back the file itself, never an edited one: by it this key knows "
                "what it must not sign",
            ) from None
        self._digests[subject] = digest

    @property
    def conflict(self) -> str | None:
        """Why nothing is signed any more, None while all is well."""
        return self._conflict

    @property
    def is_confirmed(self) -> bool:
        """Whether others were asked what they know."""
        return self._is_confirmed

    def confirm(self) -> None:
        """From now on it may be noted what is being signed: everybody was asked."""
        self._is_confirmed = True

    def digest_of(self, subject: str) -> Hash | None:
        """What was signed under this name, None if nothing was."""
        known = self._digests.get(subject)
        return None if known is None else bytes.fromhex(known)

    def learn(self, subject: str, digest: Hash) -> bool:
        """Take in what bears our own signature somewhere else; durable on return.

        Returns:
            Whether the record lacked it: it is older than what this key has signed.

        Raises:
            Conflict: this key signed two different things under one name. Nothing is signed any
                more, in this process or a later one that learns the same.
        """
        known = self._digests.get(subject)
        if known == digest.hex():
            return False
        if known is not None:
            self.stop(
                f"{subject}: the record has digest {known}, but our own signature over "
                f"{digest.hex()} exists"
            )
            raise self._stopped()
        self._append([subject, digest.hex(), _LEARNED])
        self._digests[subject] = digest.hex()
        return True

    def stop(self, conflict: str) -> None:
        """Sign nothing any more, now or after a restart."""
        if self._conflict is None:
            self._conflict = conflict
            self._append([_STOPPED, conflict])

    def note(self, subject: str, digest: Hash) -> None:
        """Record that ``digest`` is being signed for ``subject``; durable on return.

        Raises:
            Conflict: something else was signed under this name, or a conflict was found.
            NotAllowed: nobody has confirmed yet that the record is complete.
        """
        if self._conflict is not None:
            raise self._stopped()
        if not self._is_confirmed:
            raise NotAllowed(
                "the signing record may be an old one",
                expected="chain and peers asked first what this key has signed",
                found="not asked yet",
            )
        known = self._digests.get(subject)
        if known == digest.hex():
            return
        if known is not None:
            raise Conflict(
                f"another digest was signed for {subject}",
                field="digest",
                expected=known,
                found=digest.hex(),
            )
        self._append([subject, digest.hex()])
        self._digests[subject] = digest.hex()

    def close(self) -> None:
        """Give up the file."""
        self._journal.close()

    def _append(self, line: list[str]) -> None:
        self._journal.append(json.dumps(line).encode())

    def _stopped(self) -> Conflict:
        return Conflict(
            "this key has signed two different things under one name; nothing is signed any more",
            field="signing record",
            expected="one digest a subject",
            found=self._conflict,
            action="retire the key: k attestors name the set's next version without it",
        )
