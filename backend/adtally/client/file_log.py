"""A log read from its public files, several downloads ahead of the reader."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from adtally.client.log_client import LogClient
from adtally.client.log_files import SERVICE_PREFIX, HttpFiles, LogFiles
from adtally.columns.entries import EntryColumns
from adtally.errors import AdtallyError, InvalidInput, NotFound, VerificationFailed
from adtally.log.bundle import count_entries, slice_bundle
from adtally.log.canonical_json import read_canonical_json
from adtally.log.checkpoint import NoteVerifier, SignedNote, parse_checkpoint
from adtally.log.signed_document import SUFFIX, verify_document
from adtally.log.tiles import BULK_ENTRIES, TILE_WIDTH, LogFile, bulk_file, bundle_file

AHEAD = 3
"""Bulk files under way or waiting besides the one asked for; 8 MiB each."""
_BUNDLES_AT_ONCE = 8
_SIGNED_TRIES = 3


class FileLog:
    """Entries, checkpoint and statements of a log; ``adtally.audit.ports.LogSource``.

    Args:
        files: where they come from.
        pages: a service that is asked for what it has no files of (older ones).
    """

    def __init__(self, files: LogFiles, pages: LogClient | None = None) -> None:
        self._files = files
        self._pages = pages
        self.verifier: NoteVerifier | None = None
        """Signs the documents; None believes them unsigned."""
        self._size = 0
        self._under_way: dict[int, asyncio.Task[Sequence[bytes]]] = {}

    async def close(self) -> None:
        """End downloads that nobody waits for."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        self._under_way.clear()
        await self._files.close()
        if self._pages is not None:
            await self._pages.close()

    async def checkpoint_note(self) -> bytes:
        """The newest signed checkpoint, as published."""
        note = await self._files.read("checkpoint")
        self._size = _size_in(note)
        return note

    async def entries(self, start: int, end: int) -> Sequence[bytes]:
        """Entries from ``start`` on, at most to the end of the bulk file that it falls into.

        Raises:
            NotFound: there are no such entries.
            InvalidInput: what is there are no entries.
        """
        chunk = start // BULK_ENTRIES
        first = chunk * BULK_ENTRIES
        last = max(end - 1, start) // BULK_ENTRIES
        for wanted in range(chunk, min(max(last, self._last_chunk), chunk + AHEAD) + 1):
            if wanted not in self._under_way:
                self._under_way[wanted] = asyncio.create_task(self._chunk(wanted))
        for passed in [each for each in self._under_way if each < chunk]:
            self._under_way.pop(passed).cancel()
        try:
            found = await asyncio.shield(self._under_way[chunk])
        finally:
            if end >= first + BULK_ENTRIES or end >= self._size:
                self._under_way.pop(chunk, None)
        if start == first and end - first >= len(found):
            return found
        return found[start - first : end - first]

    async def statement(self, campaign: int, sequence: int) -> object:
        """A published statement, signed by the log's key.

        Raises:
            NotFound: there is none.
            InvalidInput, VerificationFailed: malformed, or not signed.
        """
        path = f"statements/{campaign}/{sequence}.json"
        try:
            return await self._document(path)
        except NotFound:
            if self._pages is None:
                raise
            return await self._pages.statement(campaign, sequence)

    async def _document(self, path: str) -> object:
        for left in reversed(range(_SIGNED_TRIES)):
            content = await self._files.read(path)
            try:
                if self.verifier is not None:
                    note = await self._note(path)
                    verify_document(self.verifier, path, content, note)
            except VerificationFailed:
                # It may have changed between the two.
                if not left:
                    raise
            else:
                break
        return read_canonical_json(content)

    async def _note(self, path: str) -> bytes:
        try:
            return await self._files.read(path + SUFFIX)
        except NotFound as error:
            raise VerificationFailed(
                "a published document is not signed",
                field=path,
                expected=f"a note at {path}{SUFFIX}",
                found=error.found,
            ) from None

    async def deployment(self) -> object:
        """The deployment document, as published."""
        try:
            content = await self._files.read("deployment.json")
        except NotFound:
            if self._pages is None:
                raise
            return await self._pages.deployment()
        return read_canonical_json(content)

    @property
    def _last_chunk(self) -> int:
        return max(self._size - 1, 0) // BULK_ENTRIES

    async def _chunk(self, number: int) -> Sequence[bytes]:
        """All entries of a bulk file's range that the log has."""
        first = number * BULK_ENTRIES
        count = min(max(self._size - first, 0), BULK_ENTRIES)
        try:
            if count == BULK_ENTRIES:
                content = await self._files.read(bulk_file(number).path)
                return _exactly(EntryColumns.of_bundle(content), count)
            return await self._bundles(first, count)
        except NotFound:
            if self._pages is None:
                raise
            return await self._pages.entries(first, first + count)

    async def _bundles(self, first: int, count: int) -> Sequence[bytes]:
        full, rest = divmod(count, TILE_WIDTH)
        files = [bundle_file(first // TILE_WIDTH + at) for at in range(full)]
        if rest:
            files.append(bundle_file(first // TILE_WIDTH + full, rest))
        gate = asyncio.Semaphore(_BUNDLES_AT_ONCE)

        async def read(file: LogFile) -> bytes:
            async with gate:
                return await self._bundle(file)

        found = await asyncio.gather(*(read(file) for file in files))
        return _exactly(EntryColumns.of_bundle(b"".join(found)), count)

    async def _bundle(self, file: LogFile) -> bytes:
        try:
            content = await self._files.read(file.path)
        except NotFound:
            if file.is_full:
                raise
            # Partial files may be deleted once there is the full one.
            full = await self._files.read(bundle_file(file.number).path)
            return slice_bundle(full, 0, file.width)
        found = count_entries(content)
        if found != file.width:
            raise _wrong_number(file.width, found)
        return content


def open_pages(files: LogFiles) -> LogClient | None:
    """The service behind these files, if it is one."""
    if not files.name.endswith(SERVICE_PREFIX):
        return None
    auth = files.auth if isinstance(files, HttpFiles) else None
    return LogClient(files.name.removesuffix(SERVICE_PREFIX), auth=auth)


def _size_in(note: bytes) -> int:
    """The tree size that a note names; 0 where it is no checkpoint (the reader will say so)."""
    try:
        return parse_checkpoint(SignedNote.from_bytes(note).text)[1].tree_size
    except AdtallyError:
        return 0


def _exactly(entries: EntryColumns, width: int) -> EntryColumns:
    if len(entries) != width:
        raise _wrong_number(width, len(entries))
    return entries


def _wrong_number(expected: int, found: int) -> InvalidInput:
    return InvalidInput(
        "a file of entries does not hold as many as its path says",
        field="entries",
        expected=f"{expected} entries",
        found=f"{found}",
    )
