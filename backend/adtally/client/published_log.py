"""The files of a published log, from a service or any server of a copy of it."""

from __future__ import annotations

from types import TracebackType

import httpx

from adtally.client.transport import RetryPolicy, Transport
from adtally.errors import NotFound, VerificationFailed
from adtally.log.bundle import decode_bundle, slice_bundle
from adtally.log.canonical_json import read_canonical_json
from adtally.log.checkpoint import NoteVerifier
from adtally.log.signed_document import SUFFIX, verify_document
from adtally.log.tiles import FileKind, LogFile, bulk_file, bundle_file
from adtally.rfc9162 import HASH_SIZE

_SIGNED_TRIES = 3


class PublishedLog:
    """Reads one published log (``docs/spec/log.md``, Static layout); an async context manager.

    Nothing here is believed but that a file has the size that it must have: whoever reads checks
    hashes and signatures.

    Args:
        address: where ``checkpoint`` is; ``.../v1/log`` of a service.
    """

    def __init__(
        self, address: str, retry: RetryPolicy | None = None, auth: httpx.Auth | None = None
    ) -> None:
        self.address = address.rstrip("/")
        self._transport = Transport(self.address, retry, auth)

    async def __aenter__(self) -> PublishedLog:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._transport.close()

    async def read(self, path: str) -> bytes:
        """A file's bytes; raises NotFound, or the typed error of the answer."""
        return (await self._transport.get(f"{self.address}/{path}")).content

    async def document(self, path: str) -> object:
        """A JSON document; raises InvalidInput unless it is canonical."""
        return read_canonical_json(await self.read(path))

    async def signed(self, path: str, verifier: NoteVerifier) -> tuple[bytes, bytes]:
        """A document and the note that signs it; both again while one has changed meanwhile.

        Raises:
            NotFound: there is no such document, or nobody signed it.
            VerificationFailed, InvalidInput: the note is not the document's.
        """
        for _ in range(_SIGNED_TRIES - 1):
            content, note = await self.read(path), await self.read(path + SUFFIX)
            try:
                verify_document(verifier, path, content, note)
            except VerificationFailed:
                continue
            return content, note
        content, note = await self.read(path), await self.read(path + SUFFIX)
        verify_document(verifier, path, content, note)
        return content, note

    async def tile(self, file: LogFile) -> bytes:
        """Hashes of a tile, back to back; of the full one where the partial one is gone."""
        content = await self._read_file(file)
        wanted = file.width * HASH_SIZE
        if len(content) != wanted:
            raise _wrong_size(file, f"{wanted} bytes", f"{len(content)} bytes")
        return content

    async def entries(self, file: LogFile) -> list[bytes]:
        """Entries of a bundle or bulk file."""
        entries = decode_bundle(await self._read_file(file))
        if len(entries) != file.width:
            raise _wrong_size(file, f"{file.width} entries", f"{len(entries)} entries")
        return entries

    async def bulk(self, number: int) -> list[bytes]:
        """65,536 entries; of bundles where somebody publishes no bulk files."""
        file = bulk_file(number)
        try:
            return await self.entries(file)
        except NotFound:
            first = file.start // bundle_file(0).width
            return [
                entry
                for at in range(first, first + bundle_file(0).width)
                for entry in await self.entries(bundle_file(at))
            ]

    async def _read_file(self, file: LogFile) -> bytes:
        try:
            return await self.read(file.path)
        except NotFound:
            if file.is_full:
                raise
        full = await self.read(LogFile(file.kind, file.number, file.level).path)
        if file.kind is FileKind.HASHES:
            return full[: file.width * HASH_SIZE]
        return slice_bundle(full, 0, file.width)


def _wrong_size(file: LogFile, expected: str, found: str) -> VerificationFailed:
    return VerificationFailed(
        "a file of the log has another size than it must have",
        field=file.path,
        expected=expected,
        found=found,
        action="ask again, or elsewhere; if it stays so, keep the file: the log is lying",
    )
