"""A copy of the whole public log in a folder, for any file server (``docs/spec/log.md``).

Only entries, and the few hashes of tiles of level 2, are fetched: every tile follows from entries.
All entries of a block lead to its root, and all these roots to the checkpoint's, before a byte of
the block is written. Files appear whole, the checkpoint last: at any moment the folder holds all
that its checkpoint covers, and what is there already is not fetched again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from adtally.chain.files import write_atomically
from adtally.client.copy_folder import CopyFolder
from adtally.client.fields import Fields
from adtally.client.published_log import PublishedLog
from adtally.errors import Conflict, NotFound, VerificationFailed
from adtally.events.facts import RULES_KIND, RulesFacts
from adtally.log.blocks import Block, upper_tiles
from adtally.log.canonical_json import read_canonical_json
from adtally.log.checkpoint import NoteVerifier, open_checkpoint
from adtally.log.merkle import packed_root
from adtally.log.signed_document import SUFFIX
from adtally.log.tiles import BULK_ENTRIES, TILE_WIDTH, bulk_file, bundle_file, tile
from adtally.rfc9162 import HASH_SIZE
from adtally.types import Checkpoint, Hash
from adtally.verification.rule_set import RuleSet

Tell = Callable[[int, int], None]
"""Takes how many entries are there, and how many there will be."""

_AT_ONCE = 8
_COSIGNED = "cosigned-checkpoint"


@dataclass(frozen=True, slots=True)
class Copied:
    """What the folder holds now.

    Attributes:
        checkpoint: of the copy.
        fetched_entries: how many were not there before.
        statements: in the folder.
        missing_lists: hashes of lists that rules name and the source does not have.
    """

    checkpoint: Checkpoint
    fetched_entries: int
    statements: int
    missing_lists: tuple[str, ...]


async def copy_log(
    source: PublishedLog,
    directory: Path,
    tell: Tell = lambda done, total: None,
    *,
    note_verifier: str | None = None,
) -> Copied:
    """Bring the copy in ``directory`` up to the source's newest checkpoint.

    Args:
        source: what is copied.
        directory: the copy; created when missing.
        tell: for progress.
        note_verifier: the log's key; None: the one that the source names.

    Raises:
        VerificationFailed: the log is not what its checkpoint says, or not the one that the folder
            holds. The folder's checkpoint, and all that it covers, is as it was.
        Conflict: the folder holds another log.
        InvalidInput: a malformed file or document.
    """
    return await _Copying(source, CopyFolder(directory), tell).run(note_verifier)


class _Copying:
    """One run."""

    def __init__(self, source: PublishedLog, folder: CopyFolder, tell: Tell) -> None:
        self._source = source
        self._folder = folder
        self._tell = tell
        self._fetched = 0
        self._missing_lists: set[str] = set()
        self._old = Checkpoint(0, packed_root(b""))

    async def run(self, note_verifier: str | None) -> Copied:
        document = await self._source.document("deployment.json")
        deployment = Fields(document, "deployment")
        origin = deployment.text("log_origin")
        verifier = NoteVerifier.parse(note_verifier or deployment.text("note_verifier"))
        self._read_old(verifier, origin)
        # Documents before the checkpoint: what they speak of is in the log that it covers.
        statements = await self._stage_documents(verifier)
        note = await self._source.read("checkpoint")
        new = open_checkpoint(note, [verifier], origin=origin)
        if new.tree_size < self._old.tree_size:
            raise VerificationFailed(
                "the checkpoint is older than the copy's",
                field="checkpoint",
                expected=f"{self._old.tree_size} entries or more",
                found=f"{new.tree_size}",
                action="ask again; if it stays so the log was cut, or somebody serves a stale copy",
            )
        await self._copy_entries(new)
        self._folder.commit_staged()
        write_atomically(self._folder.path("checkpoint"), note)
        self._folder.remove_outgrown(self._old.tree_size, new.tree_size)
        return Copied(new, self._fetched, statements, tuple(sorted(self._missing_lists)))

    def _read_old(self, verifier: NoteVerifier, origin: str) -> None:
        """What the folder holds, if it holds anything."""
        known = self._folder.read("deployment.json")
        if known is not None:
            found = Fields(read_canonical_json(known), "deployment").text("log_origin")
            if found != origin:
                raise Conflict(
                    "the folder holds another log",
                    field=str(self._folder.directory),
                    expected=origin,
                    found=found,
                    action="give this log a folder of its own",
                )
        note = self._folder.read("checkpoint")
        if note is not None:
            self._old = open_checkpoint(note, [verifier], origin=origin)

    # Entries -----------------------------------------------------------------------------------

    async def _copy_entries(self, new: Checkpoint) -> None:
        full, rest = divmod(new.tree_size, BULK_ENTRIES)
        entries = await self._tail(full, rest)
        tail = Block.of(full, entries)
        roots = await self._block_roots(full)
        self._check("root", packed_root(roots, tail.root if rest else b""), new.root_hash)
        if self._old.tree_size >= full * BULK_ENTRIES:
            self._check_prefix(roots, tail.leaves)
        await self._copy_blocks(new.tree_size, roots)
        await self._write_rules(entries)
        self._folder.write(tail.files)
        self._folder.write(upper_tiles(roots))
        self._tell(new.tree_size, new.tree_size)

    async def _copy_blocks(self, tree_size: int, roots: bytes) -> None:
        """Fetch the full blocks that are missing; the next one travels while one is hashed."""
        full = len(roots) // HASH_SIZE
        missing = [at for at in range(full) if not self._has_block(at, roots)]
        upcoming: asyncio.Task[list[bytes]] | None = None
        try:
            for place, number in enumerate(missing):
                self._tell((full - len(missing) + place) * BULK_ENTRIES, tree_size)
                upcoming = upcoming or asyncio.create_task(self._source.bulk(number))
                entries = await upcoming
                following = missing[place + 1 : place + 2]
                upcoming = None
                for each in following:
                    upcoming = asyncio.create_task(self._source.bulk(each))
                await self._copy_block(number, entries, roots)
        finally:
            if upcoming is not None:
                upcoming.cancel()

    def _has_block(self, number: int, roots: bytes) -> bool:
        """Whether the folder has a block, which is then written wholly, and of this very log."""
        if not self._folder.has(bulk_file(number).path):
            return False
        if number < self._old.tree_size // BULK_ENTRIES:
            return True
        # Beyond the folder's checkpoint it may be of a log that never got one.
        hashes = self._folder.read(tile(1, number).path) or b""
        return packed_root(hashes) == roots[number * HASH_SIZE : (number + 1) * HASH_SIZE]

    async def _copy_block(self, number: int, entries: Sequence[bytes], roots: bytes) -> None:
        block = await asyncio.to_thread(Block.of, number, entries)
        at = number * HASH_SIZE
        self._check(bulk_file(number).path, block.root, roots[at : at + HASH_SIZE])
        if self._old.tree_size // BULK_ENTRIES == number:
            self._check_prefix(roots, block.leaves)
        await self._write_rules(entries)
        await asyncio.to_thread(self._folder.write, block.files)
        self._fetched += BULK_ENTRIES

    async def _tail(self, full: int, rest: int) -> list[bytes]:
        """The entries behind the last full block; full bundles that are there are not fetched."""
        limit = asyncio.Semaphore(_AT_ONCE)

        async def piece(at: int) -> list[bytes]:
            number = full * TILE_WIDTH + at // TILE_WIDTH
            file = bundle_file(number, min(TILE_WIDTH, rest - at))
            known = self._folder.entries(file)
            if known is not None:
                return known
            async with limit:
                entries = await self._source.entries(file)
            self._fetched += len(entries)
            return entries

        pieces = await asyncio.gather(*(piece(at) for at in range(0, rest, TILE_WIDTH)))
        return [entry for each in pieces for entry in each]

    async def _block_roots(self, full: int) -> bytes:
        """Root hashes of all full blocks, back to back: what tiles of level 2 hold."""
        tiles = [
            await self._source.tile(tile(2, at // TILE_WIDTH, min(TILE_WIDTH, full - at)))
            for at in range(0, full, TILE_WIDTH)
        ]
        return b"".join(tiles)

    def _check_prefix(self, roots: bytes, leaves: bytes) -> None:
        """That the log begins with what the folder holds.

        Args:
            roots: of all full blocks.
            leaves: of the block that the folder's log ends in.
        """
        before, rest = divmod(self._old.tree_size, BULK_ENTRIES)
        behind = packed_root(leaves[: rest * HASH_SIZE]) if rest else b""
        root = packed_root(roots[: before * HASH_SIZE], behind)
        self._check(f"root at size {self._old.tree_size}", root, self._old.root_hash)

    def _check(self, what: str, found: Hash, expected: Hash) -> None:
        if found != expected:
            raise VerificationFailed(
                "the log is not the one that was signed",
                field=what,
                expected=expected.hex(),
                found=found.hex(),
                action="keep the folder and the source's checkpoint: together they prove it; if "
                "files in the folder were changed, copy into a new folder",
            )

    # Documents ---------------------------------------------------------------------------------

    async def _stage_documents(self, verifier: NoteVerifier) -> int:
        """Fetch all documents, to be put in place later; returns how many statements there are."""
        with suppress(NotFound):  # Before any attestor has cosigned.
            self._folder.stage(_COSIGNED, await self._source.read(_COSIGNED))
        campaigns: object = None
        for path in ("deployment.json", "anchors.json", "cosigners.json", "campaigns.json"):
            campaigns = await self._stage(path, verifier)
        statements = 0
        ids = [each.integer("id") for each in _list(campaigns)]
        for campaign in ids:
            statements += await self._stage_statements(campaign, verifier)
        return statements

    async def _stage_statements(self, campaign: int, verifier: NoteVerifier) -> int:
        sequence = 0
        while True:
            path = f"statements/{campaign}/{sequence + 1}.json"
            try:
                await self._stage(path, verifier)
            except NotFound:
                return sequence
            sequence += 1

    async def _stage(self, path: str, verifier: NoteVerifier) -> object:
        """Keep a document and its note aside; returns what it says."""
        content, note = await self._source.signed(path, verifier)
        document = read_canonical_json(content)
        self._folder.stage(path, content)
        self._folder.stage(path + SUFFIX, note)
        return document

    async def _write_rules(self, entries: Sequence[bytes]) -> None:
        """The rule sets among these entries, and the lists that they name."""
        for entry in entries:
            if entry[0] != RULES_KIND:
                continue
            rules_json = RulesFacts.from_entry(entry).rules_json
            self._write_rules_file(rules_json)
            for sha256 in RuleSet.from_json(rules_json).lists.values():
                await self._copy_list(sha256)

    async def _copy_list(self, sha256: str) -> None:
        if self._folder.has(f"rules/{sha256}.json"):
            return
        try:
            content = await self._source.read(f"rules/{sha256}.json")
        except NotFound:
            self._missing_lists.add(sha256)
            return
        self._check(f"rules/{sha256}.json", hashlib.sha256(content).digest(), bytes.fromhex(sha256))
        self._write_rules_file(content)

    def _write_rules_file(self, content: bytes) -> None:
        path = self._folder.path(f"rules/{hashlib.sha256(content).hexdigest()}.json")
        if not path.exists():
            write_atomically(path, content)


def _list(document: object) -> list[Fields]:
    return Fields({"campaigns": document}, "campaigns").inners("campaigns")
