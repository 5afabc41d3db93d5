"""``adtally export-log`` of a real service: complete, resumable, and it believes nothing."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from rich.console import Console
from scripts.chainless.facts import key_of
from scripts.chainless.world import PUBLISHERS

from adtally.client.log_copy import copy_log
from adtally.client.published_log import PublishedLog
from adtally.client.transport import NO_RETRY
from adtally.collector.user_agents import published_list, published_list_hash
from adtally.commands.export_log import ExportOptions, export_log
from adtally.errors import Conflict, InvalidInput, NotFound, VerificationFailed
from adtally.events.facts import RulesFacts
from adtally.intake.clock import SystemClock
from adtally.log.blocks import Block
from adtally.log.canonical_json import read_canonical_json
from adtally.log.checkpoint import NoteSigner, sign_checkpoint
from adtally.log.merkle import MerkleTree
from adtally.log.tiles import BULK_ENTRIES, bulk_file, files_of
from adtally.rfc9162 import leaf_hashes
from adtally.types import Checkpoint
from adtally.verification.rule_set import RuleSet
from support.grown_log import GrownLog, grown_log
from support.served_log import draft_statement, file_server, served

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def log(tmp_path: Path) -> AsyncIterator[GrownLog]:
    async with grown_log(tmp_path / "service", 700) as log:
        yield log


def source_of(address: str) -> PublishedLog:
    return PublishedLog(address, NO_RETRY)


async def exported(log: GrownLog, directory: Path) -> None:
    async with served(log.service) as address:
        await export_log(directory, ExportOptions(address), Console(quiet=True))


def names(directory: Path) -> set[str]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix() for path in found}


async def test_export__of_a_service__holds_exactly_what_the_service_answers(
    log: GrownLog, tmp_path: Path
) -> None:
    later = RuleSet(max_clock_skew_ms=1, lists={"agents": published_list_hash()})
    await log.service.sequencer.enter_facts(lambda at_ms: [RulesFacts(at_ms, later.to_json())])
    await log.grow_to(BULK_ENTRIES + 700)
    await draft_statement(log.service, 1)
    await draft_statement(log.service, 2)
    directory = tmp_path / "copy"
    await exported(log, directory)
    found = names(directory)
    hashed = RuleSet().to_json(), later.to_json(), published_list()
    rules = {f"rules/{hashlib.sha256(content).hexdigest()}.json" for content in hashed}
    documents = {"deployment.json", "anchors.json", "campaigns.json", "checkpoint", *rules}
    documents |= {"statements/1/1.json", "statements/1/2.json", "cosigners.json"}
    notes = {f"{name}.note" for name in documents - {"checkpoint"} - rules}
    assert found == documents | notes | {file.path for file in files_of(log.size)}
    for name in found:
        assert (directory / name).read_bytes() == (await log.get(name)).content, name
    for name in documents - {"checkpoint"} - rules:
        read_canonical_json((directory / name).read_bytes())
    for name in rules:
        assert hashlib.sha256((directory / name).read_bytes()).hexdigest() in name


async def test_export_log__the_command__says_what_the_folder_holds(
    log: GrownLog, tmp_path: Path
) -> None:
    async with served(log.service) as address:
        command = [sys.executable, "-m", "adtally.cli", "export-log", str(tmp_path / "copy")]
        process = await asyncio.create_subprocess_exec(
            *command, "--service", address, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert "holds 700 entries, 700 of them new, and 0 statements" in " ".join(
        output.decode().split()
    )
    assert log.service.sequencer.tree.root().hex() in output.decode()
    assert (tmp_path / "copy" / "checkpoint").exists()


async def test_export__of_a_log_for_members__takes_an_event_key(tmp_path: Path) -> None:
    """The service's clock is the real one here: grants of the command are of now."""
    async with grown_log(tmp_path / "service", 300, read_access="members") as log:
        service = replace(log.service, clock=SystemClock())
        key_file = tmp_path / "event.key"
        key_file.write_text(key_of(PUBLISHERS[0]).hex())
        async with served(service) as address:
            with pytest.raises(VerificationFailed, match="not open to everybody"):
                await export_log(tmp_path / "copy", ExportOptions(address), Console(quiet=True))
            options = ExportOptions(address, key_file=key_file, member=PUBLISHERS[0])
            copied = await export_log(tmp_path / "copy", options, Console(quiet=True))
    assert copied.checkpoint.tree_size == 300


async def test_export__again__fetches_only_what_is_new_and_drops_what_was_outgrown(
    log: GrownLog, tmp_path: Path
) -> None:
    directory = tmp_path / "copy"
    async with served(log.service) as address, source_of(f"{address}/v1/log") as source:
        first = await copy_log(source, directory)
        assert (first.checkpoint.tree_size, first.fetched_entries) == (700, 700)
        assert "tile/0/002.p/188" in names(directory)
        await log.grow_to(1_000)
        second = await copy_log(source, directory)
        assert (second.checkpoint.tree_size, second.fetched_entries) == (1_000, 1_000 - 512)
        assert {name for name in names(directory) if name.startswith("tile")} == {
            file.path for file in files_of(1_000)
        }
        await log.grow_to(BULK_ENTRIES + 300)
        third = await copy_log(source, directory)
        assert third.fetched_entries == BULK_ENTRIES + 300
        fourth = await copy_log(source, directory)
        assert fourth.fetched_entries == 0


async def test_export__interrupted__goes_on_where_it_was_and_has_no_checkpoint_before(
    log: GrownLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.grow_to(2 * BULK_ENTRIES + 5)
    directory = tmp_path / "copy"
    asked: list[int] = []
    real = PublishedLog.bulk

    async def bulk(self: PublishedLog, number: int) -> list[bytes]:
        asked.append(number)
        if asked == [0, 1]:
            raise NotFound("the connection is lost")
        return await real(self, number)

    monkeypatch.setattr(PublishedLog, "bulk", bulk)
    async with served(log.service) as address, source_of(f"{address}/v1/log") as source:
        with pytest.raises(NotFound):
            await copy_log(source, directory)
        assert not (directory / "checkpoint").exists()
        assert (directory / "bulk/000").exists()
        copied = await copy_log(source, directory)
    assert asked == [0, 1, 1]
    assert copied.checkpoint.tree_size == 2 * BULK_ENTRIES + 5
    assert names(directory) >= {file.path for file in files_of(log.size)}


async def test_export__behind_any_file_server__is_a_source_like_the_service(
    log: GrownLog, tmp_path: Path
) -> None:
    await draft_statement(log.service, 1)
    await exported(log, tmp_path / "copy")
    with file_server(tmp_path / "copy") as address:
        async with source_of(address) as source:
            copied = await copy_log(source, tmp_path / "second")
    assert copied.statements == 1
    first, second = tmp_path / "copy", tmp_path / "second"
    assert names(first) == names(second)
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names(first))


class Liar(PublishedLog):
    """A source that changes a file on the way."""

    lies: dict[str, bytes] = {}

    async def read(self, path: str) -> bytes:
        return self.lies[path] if path in self.lies else await super().read(path)


@pytest.mark.parametrize("path", ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/188"])
async def test_export__an_entry_changed__is_refused_and_leaves_no_checkpoint(
    log: GrownLog, tmp_path: Path, path: str
) -> None:
    async with served(log.service) as address, Liar(f"{address}/v1/log", NO_RETRY) as source:
        content = bytearray(await source.read(path))
        content[-1] ^= 1
        source.lies = {path: bytes(content)}
        with pytest.raises(VerificationFailed, match="not the one that was signed"):
            await copy_log(source, tmp_path / "copy")
        assert not (tmp_path / "copy" / "checkpoint").exists()
        assert not (tmp_path / "copy" / path).exists()


async def test_export__a_bulk_file_changed__is_refused_and_not_written(
    log: GrownLog, tmp_path: Path
) -> None:
    await log.grow_to(BULK_ENTRIES + 2)
    async with served(log.service) as address, Liar(f"{address}/v1/log", NO_RETRY) as source:
        content = bytearray(await source.read("bulk/000"))
        content[1000] ^= 1
        for lie in (bytes(content), bytes(content[:-114])):
            source.lies = {"bulk/000": lie}
            with pytest.raises((VerificationFailed, InvalidInput)):
                await copy_log(source, tmp_path / "copy")
        assert not (tmp_path / "copy" / "bulk").exists()
        assert not (tmp_path / "copy" / "tile/entries/000").exists()


async def test_export__a_fork_of_the_copied_log__is_refused(log: GrownLog, tmp_path: Path) -> None:
    """The operator signs another history: the folder keeps the first, and the proof."""
    directory = tmp_path / "copy"
    await exported(log, directory)
    before = {name: (directory / name).read_bytes() for name in names(directory)}
    entries = log.service.sequencer.store.entries(0, 700)
    entries[650] = entries[651]
    async with served(log.service) as address, Liar(f"{address}/v1/log", NO_RETRY) as source:
        source.lies = _files(entries + entries[:10], log.service.note_signer)
        with pytest.raises(VerificationFailed, match="root at size 700"):
            await copy_log(source, directory)
    assert {name: (directory / name).read_bytes() for name in before} == before


def _files(entries: list[bytes], signer: NoteSigner) -> dict[str, bytes]:
    """All files of another log under the same name."""
    tree = MerkleTree()
    tree.append_packed(leaf_hashes(entries))
    note = sign_checkpoint(signer, Checkpoint(tree.size, tree.root()))
    files = Block.of(0, entries).files
    return {file.path: content for file, content in files.items()} | {"checkpoint": note}


async def test_export__a_stale_checkpoint__is_refused(log: GrownLog, tmp_path: Path) -> None:
    note = (await log.get("checkpoint")).content
    await log.grow(10)
    async with served(log.service) as address, Liar(f"{address}/v1/log", NO_RETRY) as source:
        await copy_log(source, tmp_path / "copy")
        source.lies = {"checkpoint": note}
        with pytest.raises(VerificationFailed, match="older than the copy"):
            await copy_log(source, tmp_path / "copy")


async def test_export__of_another_log__is_refused(log: GrownLog, tmp_path: Path) -> None:
    async with served(log.service) as address, Liar(f"{address}/v1/log", NO_RETRY) as source:
        await copy_log(source, tmp_path / "copy")
        document = await source.read("deployment.json")
        document = document.replace(b'origin":"adtally/31337', b'origin":"adtally/1')
        source.lies = {"deployment.json": document}
        with pytest.raises(Conflict, match="another log"):
            await copy_log(source, tmp_path / "copy")
        source.lies = {"deployment.json": document + b"\n"}
        with pytest.raises(InvalidInput, match="canonical"):
            await copy_log(source, tmp_path / "copy")


async def test_bulk__where_nobody_publishes_it__is_made_of_bundles(
    log: GrownLog, tmp_path: Path
) -> None:
    await log.grow_to(BULK_ENTRIES + 2)
    await exported(log, tmp_path / "copy")
    (tmp_path / "copy" / bulk_file(0).path).unlink()
    with file_server(tmp_path / "copy") as address:
        async with source_of(address) as source:
            entries = await source.bulk(0)
    assert entries == log.service.sequencer.store.entries(0, BULK_ENTRIES)
