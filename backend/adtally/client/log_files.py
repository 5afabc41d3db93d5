"""Where the public files of a log come from: a service, a plain web server, a folder.

Paths are those of the static layout in ``docs/spec/log.md``, relative to where the log is
published: ``checkpoint``, ``bulk/000``, ``tile/entries/000``, ``statements/1/1.json``.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

import httpx

from adtally.client.transport import RetryPolicy, Transport
from adtally.errors import AdtallyError, InvalidInput, NotAllowed, NotFound, VerificationFailed

SERVICE_PREFIX = "/v1/log"


class LogFiles(Protocol):
    """Reads files by their public paths."""

    @property
    def name(self) -> str:
        """Address or folder, for people."""

    async def read(self, path: str) -> bytes:
        """The file's bytes; raises NotFound where there is none."""

    async def close(self) -> None:
        """Close connections."""


class HttpFiles:
    """Files below an address.

    Args:
        url: what the paths are appended to, without a slash at its end.
        auth: signs grants where the log is not open to everybody.
    """

    def __init__(
        self, url: str, retry: RetryPolicy | None = None, auth: httpx.Auth | None = None
    ) -> None:
        self.auth = auth
        self._transport = Transport(url, retry, auth)

    @property
    def name(self) -> str:
        return self._transport.base_url

    async def read(self, path: str) -> bytes:
        """As ``LogFiles.read``; raises NotAllowed where the log is not open to this reader."""
        try:
            return (await self._transport.get(f"{self.name}/{path}")).content
        except VerificationFailed as error:
            # Says nothing of the log: whoever reads must not take it for a lie.
            raise NotAllowed(
                error.message,
                field=error.field,
                expected=error.expected,
                found=error.found,
                action="give the key of a member or attestor that may read it (--key-file)",
            ) from None
        except NotFound:
            raise
        except InvalidInput as error:
            raise _absent(f"{self.name}/{path}", str(error)) from None

    async def close(self) -> None:
        await self._transport.close()


class FolderFiles:
    """Files of a folder, as ``adtally export-log`` writes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        return str(self._folder)

    async def read(self, path: str) -> bytes:
        """As ``LogFiles.read``."""
        try:
            return await asyncio.to_thread((self._folder / path).read_bytes)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise _absent(str(self._folder / path), "no such file") from None
        except OSError as error:
            raise _absent(str(self._folder / path), str(error)) from None

    async def paths(self) -> list[str]:
        """Every file there is, ascending."""
        return await asyncio.to_thread(self._paths)

    def _paths(self) -> list[str]:
        found = (path for path in self._folder.rglob("*") if path.is_file())
        return sorted(path.relative_to(self._folder).as_posix() for path in found)

    async def close(self) -> None:
        """Nothing to close."""


async def find_files(
    where: str, retry: RetryPolicy | None = None, auth: httpx.Auth | None = None
) -> LogFiles:
    """The files of a log by address or folder: a service's, or any web server's.

    Raises:
        NotFound: there is no log.
        AdtallyError: the server does not answer.
    """
    if "://" not in where:
        folder = Path(where)
        if not (folder / "checkpoint").is_file():
            raise _absent(str(folder / "checkpoint"), "no such file")
        return FolderFiles(folder)
    base = where.rstrip("/")
    refused: AdtallyError | None = None
    for url in (base.removesuffix(SERVICE_PREFIX) + SERVICE_PREFIX, base):
        files = HttpFiles(url, retry, auth)
        try:
            await files.read("checkpoint")
        except NotFound as error:
            refused = error
            await files.close()
        except BaseException:
            await files.close()
            raise
        else:
            return files
    assert refused is not None
    raise refused


def _absent(expected: str, found: str) -> NotFound:
    return NotFound(
        "there is no such file of the log",
        field="log",
        expected=expected,
        found=found,
        action="give the address of a service, or of a folder that adtally export-log has written",
    )
