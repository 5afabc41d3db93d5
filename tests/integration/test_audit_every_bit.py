"""Every single bit of the public files of a small deployment is judged: none can flip unnoticed.

Findings only grow while an audit runs. So a flip is caught by the audit once any step of it, on the
flipped files, has found a discrepancy; each flip is given to the steps that read its file, and only
if all of them were content would the whole audit be asked. That those steps are what the audit runs
is shown by whole audits of a sample.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

from adtally.audit.audit import CHECKS, AuditExtras, run_audit
from adtally.audit.deployment import AuditDeployment
from adtally.audit.log_reader import RootCheck, read_checkpoint, read_entries
from adtally.audit.log_tree import LogTree
from adtally.audit.ports import no_progress
from adtally.audit.published_check import PublishedCheck
from adtally.audit.reading import Reading
from adtally.audit.replay import Replay
from adtally.audit.report import Findings
from adtally.client.fields import Fields
from adtally.client.file_log import FileLog
from adtally.errors import AdtallyError
from adtally.log.canonical_json import read_canonical_json
from adtally.rfc9162 import leaf_hashes
from support.audit_scene import Scene, honest_scene
from support.public_folder import DictFiles, public_files

SAMPLE = 250
"""Flips that are given to whole audits, too."""


@dataclass
class Folder:
    """An export, one bit of which may be flipped, and who judges it."""

    scene: Scene
    files: DictFiles
    deployment: AuditDeployment
    honest: Reading

    @staticmethod
    async def make() -> Folder:
        scene = honest_scene()
        files = DictFiles(public_files(scene))
        deployment = deployment_in(files)
        findings = Findings(CHECKS)
        tree = LogTree()
        tree.append_packed(leaf_hashes(scene.log.served))
        replay = Replay(deployment.identity, deployment.escrow_domain, [], [], findings, tree)
        log = FileLog(files)
        await log.checkpoint_note()
        reading = Reading(log, deployment.name, tree, replay, findings)
        reading.plain = [(at, each) for at, each in enumerate(scene.log.served) if each[0] > 2]
        return Folder(scene, files, deployment, reading)

    async def audit(self) -> bool:
        """Whether a whole audit, as the command runs it, finds the folder right."""
        try:
            deployment = deployment_in(self.files)
            log = FileLog(self.files)
            log.verifier = deployment.note_verifier
            extras = AuditExtras(files=self.files)
            report = await run_audit(log, self.scene.chain, deployment, extras=extras)
        except AdtallyError:
            return False
        return report.ok

    async def judge_log(self, path: str) -> bool:
        """Steps 1 and 2: checkpoint, entries, their root."""
        findings, log, tree = Findings(CHECKS), FileLog(self.files), LogTree()
        signed = await read_checkpoint(log, self.deployment, findings)
        if signed is not None:
            size = signed.checkpoint.tree_size
            async for entries in read_entries(log, 0, size, findings, no_progress):
                tree.append_packed(leaf_hashes(entries))
            RootCheck(tree, findings).compare_checkpoint(signed.checkpoint)
        return not findings.failed

    async def judge_tiles(self, path: str) -> bool:
        """Files that follow from the entries."""
        return await self._published(lambda check: check.check_entries())

    async def judge_rules(self, path: str) -> bool:
        """Files that are named by their hash."""
        return await self._published(lambda check: check.check_rules())

    async def judge_cosigned(self, path: str) -> bool:
        """The checkpoint with attestors' lines."""
        return await self._published(lambda check: check.check_cosigned())

    async def judge_document(self, path: str) -> bool:
        """Documents, by their notes; the key is the one that the deployment names."""
        document = path.removesuffix(".note")
        return await self._published(lambda check: check.check_document(document))

    async def _published(self, step: Callable[[PublishedCheck], Coroutine[Any, Any, None]]) -> bool:
        findings = Findings(CHECKS)
        try:
            verifier = deployment_in(self.files).note_verifier
        except AdtallyError:
            return False  # The command ends here: exit code 2.
        check = PublishedCheck(self.files, self.honest, verifier, 0, findings)
        await step(check)
        return not findings.failed

    def judge_of(self, path: str) -> Callable[[str], Coroutine[Any, Any, bool]]:
        """The steps that read a file."""
        if path == "checkpoint" or path.startswith("tile/entries/"):
            return self.judge_log
        if path.startswith("tile/"):
            return self.judge_tiles
        if path == "cosigned-checkpoint":
            return self.judge_cosigned
        return self.judge_rules if path.startswith("rules/") else self.judge_document


def deployment_in(files: DictFiles) -> AuditDeployment:
    """As the command reads it; raises AdtallyError where it is none."""
    document = read_canonical_json(files.files["deployment.json"])
    Fields(document, "deployment")
    return AuditDeployment.from_json(document)


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


async def unnoticed_flips(folder: Folder) -> tuple[int, list[tuple[str, int]]]:
    """How many bits there are, and which of them can flip without failing an audit."""
    unnoticed = []
    count = 0
    for path, honest in list(folder.files.files.items()):
        judge = folder.judge_of(path)
        assert await judge(path), path
        for bit in range(8 * len(honest)):
            folder.files.files[path] = flipped(honest, bit)
            if await judge(path) and await folder.audit():
                unnoticed.append((path, bit))
        count += 8 * len(honest)
        folder.files.files[path] = honest
    return count, unnoticed


def test_every_bit__of_the_public_files__fails_the_audit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def run() -> tuple[int, list[tuple[str, int]]]:
        folder = await Folder.make()
        assert await folder.audit()
        return await unnoticed_flips(folder)

    count, unnoticed = asyncio.run(run())
    with capsys.disabled():
        print(f"\n{count:,} bits of the public files flipped, {len(unnoticed)} unnoticed")
    assert count > 50_000
    assert unnoticed == []


def test_every_bit__sampled_over_all_files__fails_whole_audits() -> None:
    async def run() -> list[tuple[str, int]]:
        folder = await Folder.make()
        files = folder.files.files
        bits = [(path, bit) for path in files for bit in range(8 * len(files[path]))]
        sample = random.Random(7).sample(bits, SAMPLE)
        sample += [(path, random.Random(path).randrange(8 * len(files[path]))) for path in files]
        unnoticed = []
        for path, bit in sample:
            honest = files[path]
            files[path] = flipped(honest, bit)
            if await folder.audit():
                unnoticed.append((path, bit))
            files[path] = honest
        return unnoticed

    assert asyncio.run(run()) == []


def test_every_bit__judge_that_looks_away__is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test itself can fail: without the check of documents their flips go unnoticed."""

    async def content(self: PublishedCheck, path: str) -> None:
        self._known |= {path, f"{path}.note"}

    monkeypatch.setattr(PublishedCheck, "check_document", content)

    async def run() -> bool:
        folder = await Folder.make()
        path = "anchors.json"
        folder.files.files[path] = flipped(folder.files.files[path], 12)
        return await folder.audit()

    assert asyncio.run(run())
