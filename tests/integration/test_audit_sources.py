"""Where an audit's log comes from: a real service, a copy behind any file server, a cache."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from rich.console import Console
from scripts.chainless.facts import key_of
from scripts.chainless.world import PUBLISHERS

from adtally.audit.log_reader import read_entries
from adtally.audit.ports import no_progress
from adtally.audit.report import Findings
from adtally.client.file_log import FileLog, open_pages
from adtally.client.log_cache import CachedFiles, StateFolder, default_cache, forget
from adtally.client.log_files import FolderFiles, HttpFiles, find_files
from adtally.client.transport import NO_RETRY
from adtally.commands.audit import AuditOptions, open_files
from adtally.commands.export_log import ExportOptions, export_log
from adtally.errors import AdtallyError, InvalidInput, NotAllowed, NotFound, VerificationFailed
from adtally.intake.clock import SystemClock
from adtally.log.checkpoint import NoteVerifier
from adtally.log.tiles import BULK_ENTRIES, bulk_file
from support.grown_log import GrownLog, grown_log
from support.served_log import draft_statement, file_server, served

pytestmark = pytest.mark.asyncio

SIZE = BULK_ENTRIES + 700


@pytest_asyncio.fixture
async def log(tmp_path: Path) -> AsyncIterator[GrownLog]:
    async with grown_log(tmp_path / "service", SIZE) as log:
        await draft_statement(log.service, 1)
        yield log


class CountedFiles(HttpFiles):
    """Counts what is asked for."""

    def __init__(self, url: str) -> None:
        super().__init__(url, NO_RETRY)
        self.asked: list[str] = []

    async def read(self, path: str) -> bytes:
        self.asked.append(path)
        return await super().read(path)


async def whole(source: FileLog) -> list[bytes]:
    """Everything that the source's checkpoint covers, as an audit reads it."""
    await source.checkpoint_note()
    findings = Findings({"entries": ""})
    found: list[bytes] = []
    async for entries in read_entries(source, 0, SIZE, findings, no_progress):
        found += entries
    assert not findings.failed
    return found


def logged(log: GrownLog) -> list[bytes]:
    return log.service.sequencer.store.entries(0, SIZE)


def verifier_of(log: GrownLog) -> NoteVerifier:
    return log.service.note_signer.verifier


async def test_service__by_its_address__entries_in_bulk_and_signed_statements(
    log: GrownLog,
) -> None:
    async with served(log.service) as address:
        found = await find_files(address, NO_RETRY)
        assert found.name == f"{address}/v1/log"
        await found.close()
        files = CountedFiles(f"{address}/v1/log")
        source = FileLog(files, open_pages(files))
        source.verifier = verifier_of(log)
        try:
            assert await whole(source) == logged(log)
            statement = await source.statement(1, 1)
            assert isinstance(statement, dict)
            assert statement["sequence"] == 1
            with pytest.raises(NotFound):
                await source.statement(1, 2)
        finally:
            await source.close()
    assert files.asked.count(bulk_file(0).path) == 1
    assert not [path for path in files.asked if path.startswith("tile/entries/000")]


async def test_service__without_files__asked_for_pages(log: GrownLog) -> None:
    async with served(log.service) as address:

        class Older(HttpFiles):
            async def read(self, path: str) -> bytes:
                if path != "checkpoint":
                    raise NotFound("no such path", expected="an older server", found=path)
                return await super().read(path)

        files = Older(f"{address}/v1/log", NO_RETRY)
        source = FileLog(files, open_pages(files))
        try:
            assert await whole(source) == logged(log)
            assert isinstance(await source.deployment(), dict)
        finally:
            await source.close()


async def test_copy__folder_and_any_file_server__same_entries(
    log: GrownLog, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    async with served(log.service) as address:
        await export_log(copy, ExportOptions(address), Console(quiet=True))
    with file_server(copy) as address:
        for where in (str(copy), address):
            files = await find_files(where, NO_RETRY)
            source = FileLog(files, open_pages(files))
            source.verifier = verifier_of(log)
            assert await whole(source) == logged(log)
            assert await source.statement(1, 1)
            await source.close()
        with pytest.raises(NotFound):
            await find_files(f"{address}/nowhere", NO_RETRY)
    with pytest.raises(NotFound):
        await find_files(str(tmp_path), NO_RETRY)


async def test_copy__statement_changed_or_unsigned__refused(log: GrownLog, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    async with served(log.service) as address:
        await export_log(copy, ExportOptions(address), Console(quiet=True))
    source = FileLog(FolderFiles(copy))
    source.verifier = verifier_of(log)
    path = copy / "statements" / "1" / "1.json"
    honest = path.read_bytes()
    path.write_bytes(honest.replace(b'"sequence":1', b'"sequence":2'))
    with pytest.raises(VerificationFailed, match="not the one that was signed"):
        await source.statement(1, 1)
    path.write_bytes(honest + b" ")
    with pytest.raises((VerificationFailed, InvalidInput)):
        await source.statement(1, 1)
    path.write_bytes(honest)
    (copy / "statements" / "1" / "1.json.note").unlink()
    with pytest.raises(VerificationFailed, match="not signed"):
        await source.statement(1, 1)


async def test_cache__second_reading__asks_for_no_entries_and_names_a_spoiled_file(
    log: GrownLog, tmp_path: Path
) -> None:
    spoiled: list[str] = []
    async with served(log.service) as address:

        async def read() -> tuple[list[bytes], list[str]]:
            files = CountedFiles(f"{address}/v1/log")
            source = FileLog(CachedFiles(files, tmp_path / "cache", spoiled.append))
            try:
                return await whole(source), files.asked
            finally:
                await source.close()

        first, asked = await read()
        assert first == logged(log)
        assert bulk_file(0).path in asked
        again, asked = await read()
        assert again == first
        assert asked == ["checkpoint"]
        kept = tmp_path / "cache" / bulk_file(0).path
        content = bytearray(kept.read_bytes())
        content[1000] ^= 1
        kept.write_bytes(content)
        third, asked = await read()
        assert third == first
        assert asked == ["checkpoint", bulk_file(0).path]
    assert spoiled == [f"{kept} is spoiled and was fetched again"]


async def test_service__for_members_only__takes_an_event_key(tmp_path: Path) -> None:
    async with grown_log(tmp_path / "service", 300, read_access="members") as log:
        # Grants of the command are of now.
        service = replace(log.service, clock=SystemClock())
        key_file = tmp_path / "event.key"
        key_file.write_text(key_of(PUBLISHERS[0]).hex())
        async with served(service) as address:
            for options, can_read in (
                (AuditOptions(address, ""), False),
                (AuditOptions(address, "", key_file=key_file, member=PUBLISHERS[0]), True),
            ):
                files = await open_files(options)
                source = FileLog(files, open_pages(files))
                await source.checkpoint_note()
                if can_read:
                    assert len(await source.entries(0, 300)) == 300
                else:
                    with pytest.raises(NotAllowed):
                        await source.entries(0, 300)
                await source.close()


async def test_service__that_is_gone__is_an_error_not_a_verdict(tmp_path: Path) -> None:
    with pytest.raises(AdtallyError):
        await find_files("http://127.0.0.1:9", NO_RETRY)


async def test_states__kept_by_size_the_newest_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = default_cache("log a", "adtally/1/0x11")
    assert folder.is_relative_to(tmp_path / "adtally" / "audit")
    assert folder != default_cache("log b", "adtally/1/0x11")
    states = StateFolder(folder / "states")
    assert states.sizes() == []
    for size in range(1, 10):
        states.write(size * 1_000, b"%d" % size)
    assert states.sizes() == [size * 1_000 for size in (9, 8, 7, 6, 5, 4)]
    assert states.read(9_000) == b"9"
    states.drop(9_000)
    assert states.read(9_000) == b""
    forget(folder)
    assert states.sizes() == []
