"""Whether a folder of public files is exactly the log's: every byte follows from the entries, or
is signed by the log's key, or is named by its hash.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

from adtally.audit.documents import list_in, text_in
from adtally.audit.log_tree import CHUNK
from adtally.audit.ports import Progress, PublicFiles, no_progress
from adtally.audit.reading import Reading
from adtally.audit.report import Findings
from adtally.errors import AdtallyError, InvalidInput, NotFound, VerificationFailed
from adtally.events.facts import RULES_KIND, RulesFacts
from adtally.log.blocks import Block, upper_tiles
from adtally.log.canonical_json import read_canonical_json
from adtally.log.checkpoint import NoteSignature, NoteVerifier, SignedNote, parse_checkpoint
from adtally.log.cosignature import CosignatureVerifier
from adtally.log.signed_document import SUFFIX, verify_document
from adtally.log.tiles import parse_path

_DOCUMENTS = ("deployment.json", "anchors.json", "campaigns.json", "cosigners.json")
_COSIGNED = "cosigned-checkpoint"
_STATEMENT = re.compile(r"statements/[1-9][0-9]*/[1-9][0-9]*\.json")
_RULES = re.compile(r"rules/([0-9a-f]{64})\.json")


class PublishedCheck:
    """Compares a folder with the log that was read from it.

    Args:
        first: entry from which on files are compared; those before were, in an earlier audit.
    """

    def __init__(
        self,
        files: PublicFiles,
        reading: Reading,
        verifier: NoteVerifier,
        first: int,
        findings: Findings,
    ) -> None:
        self._files = files
        self._reading = reading
        self._verifier = verifier
        self._first = first
        self._findings = findings
        self._known = {"checkpoint"}

    async def run(self, progress: Progress) -> None:
        """Compare everything, and say what does not belong to the log."""
        await self.check_entries(progress)
        await self.check_rules()
        paths = await self._files.paths()
        statements = [path for path in paths if _STATEMENT.fullmatch(path)]
        for path in (*_DOCUMENTS, *statements):
            await self.check_document(path)
        if _COSIGNED in paths:
            await self.check_cosigned()
        self._check_strays(paths)

    async def check_entries(self, progress: Progress = no_progress) -> None:
        """Bundles, tiles and bulk files are what the entries give."""
        tree = self._reading.tree
        size = tree.size
        for start in range(self._first - self._first % CHUNK, size, CHUNK):
            entries = await self._reading.older(start, min(start + CHUNK, size))
            for file, content in Block.of(start // CHUNK, entries).files.items():
                await self._compare(file.path, content)
            progress("files", min(start + CHUNK, size), size)
        for file, content in upper_tiles(b"".join(tree.chunk_roots)).items():
            await self._compare(file.path, content)

    async def _compare(self, path: str, expected: bytes) -> None:
        self._known.add(path)
        try:
            found = await self._files.read(path)
        except NotFound as error:
            what = "a file of the log is missing"
            self._findings.differs("published", what, path, f"{len(expected)} bytes", error.found)
            return
        if found == expected:
            self._findings.holds("published")
            return
        at = next(
            (at for at, pair in enumerate(zip(found, expected, strict=False)) if len({*pair}) > 1),
            min(len(found), len(expected)),
        )
        what = "a file is not what the entries give"
        where = f"{path}, byte {at}"
        show_expected, show_found = expected[at : at + 8].hex(), found[at : at + 8].hex()
        self._findings.differs("published", what, where, show_expected, show_found or "its end")

    async def check_rules(self) -> None:
        """Rule sets stand in the log; each has a file that is named by its hash."""
        for content in _rule_sets(self._reading.plain):
            await self._compare(f"rules/{hashlib.sha256(content).hexdigest()}.json", content)
        for path in await self._files.paths():
            named = _RULES.fullmatch(path)
            if named is not None:
                self._known.add(path)
                found = hashlib.sha256(await self._files.read(path)).hexdigest()
                what = "SHA-256 of a file named by it"
                self._findings.compare("published", what, path, named[1], found)

    async def check_document(self, path: str) -> None:
        """A document is canonical, and signed by the log's key."""
        self._known |= {path, path + SUFFIX}
        try:
            content = await self._files.read(path)
            note = await self._files.read(path + SUFFIX)
            verify_document(self._verifier, path, content, note)
            read_canonical_json(content)
        except AdtallyError as error:
            expected = error.expected or "a signed document"
            self._findings.differs("published", error.message, path, expected, error.found)
        else:
            self._findings.holds("published")

    async def check_cosigned(self) -> None:
        """The cosigned checkpoint is one of this log; each of its lines is by a declared key."""
        self._known.add(_COSIGNED)
        try:
            signed = SignedNote.from_bytes(await self._files.read(_COSIGNED))
            verifiers = [self._verifier, *await self._cosigners()]
            self._verifier.verify(signed)
            for line in signed.signatures:
                _verifier_of(line, verifiers).verify(signed)
            origin, checkpoint = parse_checkpoint(signed.text)
        except AdtallyError as error:
            expected = error.expected or "a note signed by the log and its cosigners"
            self._findings.differs("published", error.message, _COSIGNED, expected, error.found)
            return
        self._findings.compare("published", "origin", _COSIGNED, self._verifier.name, origin)
        if checkpoint.tree_size > self._reading.tree.size:
            # A folder's documents may be ahead of its checkpoint.
            self._findings.remark("the cosigned checkpoint is newer than the log that was read")
            return
        root = await self._reading.root(checkpoint.tree_size)
        what = f"root hash at tree size {checkpoint.tree_size}"
        self._findings.compare("published", what, _COSIGNED, root, checkpoint.root_hash)

    async def _cosigners(self) -> list[NoteVerifier]:
        document = read_canonical_json(await self._files.read("cosigners.json"))
        listed = list_in({"cosigners": document}, "cosigners", "cosigners")
        return [CosignatureVerifier.parse(text_in(each, "verifier", "cosigner")) for each in listed]

    def _check_strays(self, paths: Sequence[str]) -> None:
        strays = [path for path in paths if path not in self._known and not self._was_checked(path)]
        if strays:
            shown = ", ".join(strays[:3])
            self._findings.remark(f"{len(strays)} files are no part of the log: {shown}")

    def _was_checked(self, path: str) -> bool:
        """Whether the path is one of a log that an earlier audit compared."""
        try:
            file = parse_path(path)
        except InvalidInput:
            return False
        return file.is_full and file.tree_size <= self._first


def _verifier_of(line: NoteSignature, verifiers: Iterable[NoteVerifier]) -> NoteVerifier:
    for verifier in verifiers:
        if (verifier.name, verifier.key_id) == (line.name, line.key_id):
            return verifier
    raise VerificationFailed(
        "a line is by a key that nobody has declared",
        field=_COSIGNED,
        expected="keys of cosigners.json",
        found=f"{line.name} ({line.key_id.hex()})",
    )


def _rule_sets(entries: Iterable[tuple[int, bytes]]) -> list[bytes]:
    found = []
    for _, entry in entries:
        if entry[0] == RULES_KIND:
            # What does not parse has no file; the replay has named it.
            with suppress(InvalidInput):
                found.append(RulesFacts.from_entry(entry).rules_json)
    return found
