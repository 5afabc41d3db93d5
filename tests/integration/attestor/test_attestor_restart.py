"""Restarts, kills between any two steps, restored records: never two things under one name."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from adtally.attestation.answers import Signed
from adtally.attestation.signing_record import SigningRecord
from adtally.errors import AdtallyError, Conflict, NotAllowed, StorageCorrupt
from adtally.events.signature import sign
from adtally.types import Checkpoint
from support.attestor_scene import DOMAINS, KEY, ME, PaperSource, Scene, open_scene
from support.world import CAMPAIGN, World, key_of


class Killed(BaseException):
    """The process ends here."""


async def _dies(scene: Scene, step: str, before: bool) -> None:
    """Let the attestor sign, and die before or after one step of it."""
    desk = scene.attesting.desk
    owner, name = {
        "note": (desk.record, "note"),
        "sign": (desk.signer, "sign"),
        "keep": (desk.book, "add"),
        "leave": (desk._deposits, "leave"),
        "hand in": (scene.source, "post"),
    }[step]
    real: Callable = getattr(owner, name)
    is_async = step in ("sign", "leave", "hand in")

    async def deadly(*arguments: object) -> object:
        if not before:
            await real(*arguments)
        raise Killed

    def deadly_now(*arguments: object) -> object:
        if not before:
            real(*arguments)
        raise Killed

    setattr(owner, name, deadly if is_async else deadly_now)
    scene.source.requests = [
        {
            "id": 1,
            "tree_size": scene.checkpoint().tree_size,
            "root_hash": "0x" + scene.checkpoint().root_hash.hex(),
        }
    ]
    with pytest.raises(Killed):
        await scene.rounds.round()


@pytest.mark.asyncio
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", ["note", "sign", "keep", "leave", "hand in"])
async def test_attestor__killed_at_any_step__signs_the_same_again_and_nothing_else(
    tmp_path: Path, step: str, before: bool
) -> None:
    async with open_scene(tmp_path) as scene:
        await _dies(scene, step, before)
        other = replace(scene.checkpoint(), root_hash=b"\3" * 32)
        was_noted = not (step == "note" and before)
    async with open_scene(tmp_path) as scene:
        scene.source.requests = [
            {
                "id": 1,
                "tree_size": scene.checkpoint().tree_size,
                "root_hash": "0x" + scene.checkpoint().root_hash.hex(),
            }
        ]
        if was_noted:
            with pytest.raises(Conflict):
                await scene.attesting.desk.sign(other)
        await scene.rounds.round()
        ((_, document),) = scene.source.posted
        digest = DOMAINS.digest(scene.checkpoint())
        assert document["signature"] == f"0x{sign(digest, KEY).hex()}"
        with pytest.raises(Conflict):
            await scene.attesting.desk.sign(other)


@pytest.mark.asyncio
async def test_restart__with_and_without_a_snapshot__continues_without_download(
    tmp_path: Path,
) -> None:
    async with open_scene(tmp_path, snapshot_every_entries=1) as scene:
        await scene.rounds.round()
        size, statement = scene.copy.size, scene.statement()
        assert list((tmp_path / "snapshots").iterdir())
    for damage in (None, "snapshot", "tree", "point"):
        if damage == "snapshot":
            for path in (tmp_path / "snapshots").iterdir():
                path.write_bytes(path.read_bytes()[:-1] + b"\0")
        elif damage == "tree":
            next((tmp_path / "tree").iterdir()).write_bytes(b"\1" * 32 * size)
        elif damage == "point":
            (tmp_path / "tree.json").write_text("{")
        async with open_scene(tmp_path) as scene:
            assert scene.copy.size == size
            ladder = scene.attesting.follower.ladder
            assert ladder.replayed == (0 if damage is None else size)
            assert isinstance(await scene.answer(statement), Signed)
            assert scene.source.asked_entries == 0
            assert scene.copy.checkpoint() == scene.checkpoint()


@pytest.mark.asyncio
async def test_snapshot__of_another_log_or_a_program__is_left_aside(tmp_path: Path) -> None:
    async with open_scene(tmp_path / "one", snapshot_every_entries=1) as scene:
        await scene.rounds.round()
    (snapshot,) = (tmp_path / "one" / "snapshots").iterdir()
    other = PaperSource(entries_served=[])
    async with open_scene(tmp_path / "two", world=World(next_id=500)) as scene:
        await scene.rounds.round()
        other.entries_served = scene.source.entries_served
    (tmp_path / "two" / "snapshots").mkdir()
    (tmp_path / "two" / "snapshots" / snapshot.name).write_bytes(snapshot.read_bytes())
    async with open_scene(tmp_path / "two", source=other) as scene:
        assert scene.attesting.follower.ladder.replayed == scene.copy.size


@pytest.mark.asyncio
async def test_machine__process_killed__is_built_again_from_the_store(tmp_path: Path) -> None:
    import os
    import signal

    async with open_scene(tmp_path) as scene:
        await scene.rounds.round()
        ladder = scene.attesting.follower.ladder
        os.kill(ladder.head.pid, signal.SIGKILL)
        scene.source.requests = [
            {
                "id": 1,
                "tree_size": scene.checkpoint().tree_size,
                "root_hash": "0x" + scene.checkpoint().root_hash.hex(),
                "statement": {
                    **_statement_json(scene),
                },
                "lines": [],
            }
        ]
        await scene.rounds.round()
        await scene.rounds.round()
        assert [path for path, _ in scene.source.posted] == ["/attestations"]


def _statement_json(scene: Scene) -> dict[str, object]:
    from adtally.attestation.documents import statement_json

    return statement_json(scene.statement())


# A restored record ------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_restored_record__before_chain_and_peers_are_asked__nothing_is_signed(
    tmp_path: Path,
) -> None:
    async with open_scene(tmp_path, confirm=False) as scene:
        with pytest.raises(NotAllowed, match="may be an old one"):
            await scene.answer()
        scene.source.away = True
        await scene.rounds.round()
        assert not scene.attesting.desk.record.is_confirmed
        scene.source.away = False
        await scene.rounds.round()
        assert scene.attesting.desk.record.is_confirmed
        assert isinstance(await scene.answer(), Signed)


@pytest.mark.asyncio
async def test_restored_record__only_the_operator_answers__not_enough_where_there_are_peers(
    tmp_path: Path,
) -> None:
    silent, other = PaperSource("paper://one"), PaperSource("paper://two")
    silent.away = other.away = True
    async with open_scene(tmp_path, peers=[silent, other], confirm=False) as scene:
        await scene.rounds.round()
        assert not scene.attesting.desk.record.is_confirmed
        other.away = False
        await scene.rounds.round()
        assert scene.attesting.desk.record.is_confirmed


@pytest.mark.asyncio
@pytest.mark.parametrize("where", ["peer", "operator", "chain", "own answers"])
async def test_restored_record__what_it_lacks__is_learned_before_anything_is_signed(
    tmp_path: Path, where: str
) -> None:
    signed_before = Checkpoint(15, b"\5" * 32)
    signature = sign(DOMAINS.digest(signed_before), KEY)
    signed = Signed(signed_before, ME, signature)
    peer = PaperSource("paper://peer")
    async with open_scene(tmp_path, peers=[peer], confirm=False) as scene:
        if where == "peer":
            peer.signed = [signed]
        elif where == "operator":
            scene.source.signed = [signed]
        elif where == "chain":
            on_chain = SimpleNamespace(content=signed_before)
            scene.book.anchors[15] = on_chain
        else:
            scene.rounds.book.add(signed)
        await scene.rounds.round()
        record = scene.attesting.desk.record
        assert record.is_confirmed
        assert record.digest_of("checkpoint/15") == DOMAINS.digest(signed_before)
        assert scene.checkpoint().tree_size == 15
        assert "another digest was signed" in await scene.refusal()


@pytest.mark.asyncio
async def test_restored_record__that_contradicts_what_exists__stops_for_good(
    tmp_path: Path,
) -> None:
    peer = PaperSource("paper://peer")
    async with open_scene(tmp_path, peers=[peer]) as scene:
        assert isinstance(await scene.answer(), Signed)
    other = Checkpoint(15, b"\5" * 32)
    peer.signed = [Signed(other, ME, sign(DOMAINS.digest(other), KEY))]
    async with open_scene(tmp_path, peers=[peer], confirm=False) as scene:
        with pytest.raises(Conflict, match="two different things"):
            await scene.rounds.round()
        scene.attesting.desk.record.confirm()
        with pytest.raises(Conflict):
            await scene.attesting.desk.sign(scene.checkpoint())
    peer.away = True
    async with open_scene(tmp_path, peers=[peer]) as scene:
        with pytest.raises(Conflict):
            await scene.attesting.desk.sign(Checkpoint(7, b"\6" * 32))


@pytest.mark.asyncio
async def test_recall__signatures_of_others_or_forged__are_not_learned(tmp_path: Path) -> None:
    content = Checkpoint(15, b"\5" * 32)
    theirs = Signed(content, ME, sign(DOMAINS.digest(content), key_of(3)))
    peer = PaperSource("paper://peer", signed=[theirs])
    async with open_scene(tmp_path, peers=[peer], confirm=False) as scene:
        await scene.rounds.round()
        assert scene.attesting.desk.record.digest_of("checkpoint/15") is None
        assert isinstance(await scene.answer(), Signed)


@pytest.mark.asyncio
async def test_recall__chain_has_another_statement_without_our_signature__goes_on(
    tmp_path: Path,
) -> None:
    async with open_scene(tmp_path) as scene:
        mine = scene.statement()
        await scene.answer(mine)
        other = replace(mine, tree_size=mine.tree_size - 1)
        scene.book.statements[CAMPAIGN, 1] = SimpleNamespace(content=other)
        await scene.rounds.round()
        assert scene.attesting.desk.record.conflict is None
        scene.recall._seen_on_chain.clear()
        scene.book.signatures = [sign(DOMAINS.digest(other), KEY)]
        with pytest.raises(Conflict):
            await scene.rounds.round()


@pytest.mark.asyncio
async def test_two_processes__one_folder__second_is_refused(tmp_path: Path) -> None:
    async with open_scene(tmp_path):
        with pytest.raises(Conflict):
            async with open_scene(tmp_path):
                pass


# The record itself ------------------------------------------------------------------------------


def test_signing_record__torn_tail__dropped_and_damage_refused(tmp_path: Path) -> None:
    path = tmp_path / "signed"
    record = SigningRecord(path)
    record.confirm()
    record.note("checkpoint/1", b"\1" * 32)
    record.note("checkpoint/1", b"\1" * 32)
    path.write_bytes(path.read_bytes() + b'["checkpoint/2", "22')
    again = SigningRecord(path)
    again.confirm()
    again.note("checkpoint/2", b"\3" * 32)
    assert len(path.read_bytes().splitlines()) == 2
    with pytest.raises(Conflict):
        again.note("checkpoint/1", b"\4" * 32)
    for damage in (b"garbage\n", b'["checkpoint/1", "01"]\n', b'["a", "%s", "x"]\n' % (b"0" * 64)):
        path.write_bytes(damage)
        with pytest.raises(StorageCorrupt):
            SigningRecord(path)


@pytest.mark.parametrize("seed", range(20))
def test_signing_record__cut_at_any_byte_and_reopened__one_digest_a_name(
    tmp_path: Path, seed: int
) -> None:
    """A power cut may take the unsynced end: what was acknowledged stays, nothing is doubled."""
    chance = random.Random(seed)
    path, acknowledged = tmp_path / "signed", {}
    for _ in range(12):
        record = SigningRecord(path)
        record.confirm()
        for _ in range(chance.randrange(4)):
            subject = f"checkpoint/{chance.randrange(5)}"
            digest = chance.randbytes(32)
            try:
                record.note(subject, digest)
            except AdtallyError:
                assert acknowledged[subject] != digest
            else:
                assert acknowledged.setdefault(subject, digest) == digest
        record.close()
        kept = len(path.read_bytes())
        with path.open("ab") as file:
            file.write(b'["checkpoint/9", "' + b"a" * chance.randrange(40))
        assert len(path.read_bytes()) > kept
    record = SigningRecord(path)
    assert {name: record.digest_of(name) for name in acknowledged} == acknowledged
