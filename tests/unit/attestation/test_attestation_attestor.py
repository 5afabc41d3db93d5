"""The attestor signs what it recomputed and refuses every lie, naming it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from adtally.attestation.attestor import Attestor
from adtally.attestation.follower import Refused, answer_open_requests
from adtally.attestation.requests import Answer, AttestationRequest
from adtally.attestation.signing_record import SigningRecord
from adtally.errors import ChainUnavailable, Conflict, StorageCorrupt, VerificationFailed
from adtally.events.eip712 import checkpoint_digest, statement_digest
from adtally.events.facts import ChainFacts
from adtally.events.record import set_verdict
from adtally.events.signature import address_of, recover
from adtally.events.verdict import Verdict
from adtally.jobs.attestations import MAX_REASON_CHARACTERS
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.settlement.machine import LogMachine, batch_entries
from adtally.types import Address, BlockStamp, ChainLog, Checkpoint, Statement
from support.correctable_log import CorrectableLog
from support.world import (
    CAMPAIGN,
    ESCROW_DOMAIN,
    IDENTITY,
    LOG_DOMAIN,
    NOON_MS,
    WATCHED_CONTRACTS,
    World,
    key_of,
)

KEY = key_of(77)
ADDRESSES = {code: address for address, code in WATCHED_CONTRACTS.items()}


class PaperChain:
    """The chain that the world's facts came from."""

    def __init__(self, facts: ChainFacts) -> None:
        self.final_block = facts.last_block
        self._last = BlockStamp(
            facts.last_block, facts.last_block_hash, facts.last_block_timestamp_seconds
        )
        self.chain_logs = [
            ChainLog(
                log.block_number,
                bytes(32),
                bytes(32),
                log.log_index,
                ADDRESSES[log.contract],
                log.topics,
                log.data,
            )
            for log in facts.logs
        ]

    async def final(self) -> BlockStamp | None:
        return replace(self._last, number=self.final_block)

    async def block(self, number: int) -> BlockStamp | None:
        return self._last if number == self._last.number else None

    async def logs(self, first: int, last: int, addresses: Sequence[Address]) -> list[ChainLog]:
        return [log for log in self.chain_logs if first <= log.block_number <= last]


class PaperLog:
    """A log served from memory."""

    def __init__(self, entries: list[bytes]) -> None:
        self.all = entries

    async def entries(self, start: int, end: int) -> list[bytes]:
        return self.all[start : min(end, start + 5)]


class PaperEscrow:
    """Where the campaign's statements stand: sequence and tree size of the latest one."""

    def __init__(self) -> None:
        self.latest = (0, 0)

    async def latest_statement(self, campaign: int) -> tuple[int, int]:
        return self.latest


class Scene:
    """A log of facts and two batches, and an attestor that follows it."""

    def __init__(self, folder: Path) -> None:
        world = World()
        machine: LogMachine = world.machine()
        entries = [facts.to_entry() for facts in world.facts()]
        for _ in range(2):
            batch = world.batch([world.event() for _ in range(4)])
            entries += batch_entries(batch, NOON_MS, machine.judge_batch(batch, NOON_MS))
        self.machine = machine
        self.log = PaperLog(entries)
        self.chain = PaperChain(next(f for f in world.facts() if isinstance(f, ChainFacts)))
        self.escrow = PaperEscrow()
        self.folder = folder
        self.attestor = self.new_attestor()

    def new_attestor(self, record: str = "signed") -> Attestor:
        return Attestor(
            identity=IDENTITY,
            escrow_domain=ESCROW_DOMAIN,
            contracts=WATCHED_CONTRACTS,
            first_block=1,
            private_key=KEY,
            record=SigningRecord(self.folder / record),
            log=self.log,
            chain=self.chain,
            escrow=self.escrow,
        )

    def checkpoint(self) -> Checkpoint:
        tree = MerkleTree()
        tree.append([leaf_hash(entry) for entry in self.log.all])
        return Checkpoint(tree.size, tree.root())

    def statement(self, **changes: object) -> Statement:
        statement, _ = self.machine.statement(CAMPAIGN, 1, is_final=False)
        return replace(statement, **changes)  # type: ignore[arg-type]

    def ask(self, statement: Statement | None = None) -> AttestationRequest:
        return AttestationRequest(1, self.checkpoint(), statement)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.asyncio
async def test_attestor__honest_log__signs_checkpoint_and_statement(scene: Scene) -> None:
    answer = await scene.attestor.answer(scene.ask())
    assert answer.signature is not None, answer.refusal
    digest = checkpoint_digest(LOG_DOMAIN, scene.checkpoint())
    assert recover(digest, answer.signature) == address_of(KEY)
    statement = scene.statement()
    answer = await scene.attestor.answer(scene.ask(statement))
    assert answer.signature is not None, answer.refusal
    assert recover(statement_digest(ESCROW_DOMAIN, statement), answer.signature) == address_of(KEY)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lines_total_base_units", 1_000_001),
        ("sequence", 0),
        ("lines_root", bytes(32)),
        ("campaign", 2),
        ("tree_size", 3),
    ],
)
async def test_attestor__wrong_statement__refused_with_the_difference(
    scene: Scene, field: str, value: object
) -> None:
    wrong = scene.statement(**{field: value})
    if field == "sequence":
        wrong = scene.statement(counts=replace(wrong.counts, impressions=9))
        field = "counts"
    answer = await scene.attestor.answer(scene.ask(wrong))
    assert answer.signature is None
    assert answer.refusal is not None
    assert "statement is not what the log gives" in answer.refusal
    assert await scene.attestor.answer(scene.ask(scene.statement()))


@pytest.mark.asyncio
async def test_attestor__sequence_ahead_of_the_chain__is_not_spent(scene: Scene) -> None:
    ahead = scene.statement(sequence=2)
    with pytest.raises(ChainUnavailable):
        await scene.attestor.answer(scene.ask(ahead))
    scene.escrow.latest = (1, ahead.tree_size - 1)
    assert (await scene.attestor.answer(scene.ask(ahead))).signature is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("size_before", [0, 1])
async def test_attestor__statement_of_nothing_new__is_refused(
    scene: Scene, size_before: int
) -> None:
    stale = scene.statement(sequence=2)
    scene.escrow.latest = (1, stale.tree_size + size_before)
    answer = await scene.attestor.answer(scene.ask(stale))
    assert answer.refusal is not None
    assert "covers nothing" in answer.refusal
    scene.escrow.latest = (2, stale.tree_size + size_before)
    assert (await scene.attestor.answer(scene.ask(stale))).signature is not None


@pytest.mark.asyncio
async def test_attestor__final_too_early__refused(scene: Scene) -> None:
    answer = await scene.attestor.answer(scene.ask(scene.statement(is_final=True)))
    assert answer.refusal is not None
    assert "final too early" in answer.refusal


@pytest.mark.asyncio
async def test_attestor__changed_verdict__refused(scene: Scene) -> None:
    scene.log.all[-1] = set_verdict(scene.log.all[-1], Verdict.KNOWN_BOT)
    answer = await scene.attestor.answer(scene.ask())
    assert answer.refusal is not None
    assert "verdict" in answer.refusal


@pytest.mark.asyncio
async def test_attestor__checkpoint_of_another_root__refused(scene: Scene) -> None:
    request = scene.ask()
    other = replace(request, checkpoint=replace(request.checkpoint, root_hash=b"\1" * 32))
    answer = await scene.attestor.answer(other)
    assert answer.refusal is not None
    assert "root hash" in answer.refusal


@pytest.mark.asyncio
async def test_attestor__checkpoint_inside_a_batch__refused(scene: Scene) -> None:
    scene.log.all.pop()
    answer = await scene.attestor.answer(scene.ask())
    assert answer.refusal is not None
    assert "inside a batch" in answer.refusal


@pytest.mark.asyncio
@pytest.mark.parametrize("lie", ["omitted", "invented", "changed", "hash", "start"])
async def test_attestor__facts_that_contradict_the_chain__refused(scene: Scene, lie: str) -> None:
    logs = scene.chain.chain_logs
    if lie == "omitted":
        logs.append(replace(logs[-1], log_index=99))
    elif lie == "invented":
        logs.pop()
    elif lie == "changed":
        logs[0] = replace(logs[0], data=logs[0].data[:-1] + b"\xee")
    elif lie == "hash":
        scene.chain._last = replace(scene.chain._last, hash=b"\2" * 32)
    else:
        scene.attestor._first_block = 0
    answer = await scene.attestor.answer(scene.ask())
    assert answer.refusal is not None
    assert "chain facts" in answer.refusal


@pytest.mark.asyncio
async def test_attestor__own_node_behind__waits_and_signs_later(scene: Scene) -> None:
    scene.chain.final_block = 10
    with pytest.raises(ChainUnavailable):
        await scene.attestor.answer(scene.ask())
    scene.chain.final_block = 40
    answer = await scene.attestor.answer(scene.ask())
    assert answer.signature is not None


@pytest.mark.asyncio
async def test_attestor__forked_log__second_root_of_a_size_is_never_signed(scene: Scene) -> None:
    assert (await scene.attestor.answer(scene.ask())).signature is not None
    fork = Scene(scene.folder)
    world = World(next_id=500)
    machine = world.machine()
    entries = [facts.to_entry() for facts in world.facts()]
    for _ in range(2):
        batch = world.batch([world.event() for _ in range(4)])
        entries += batch_entries(batch, NOON_MS, machine.judge_batch(batch, NOON_MS))
    fork.log.all[:] = entries
    answer = await fork.attestor.answer(fork.ask())
    assert answer.signature is None
    assert answer.refusal is not None
    assert "another digest was signed" in answer.refusal


def test_signing_record__torn_tail__dropped_and_damage_refused(tmp_path: Path) -> None:
    path = tmp_path / "signed"
    record = SigningRecord(path)
    record.note("checkpoint/1", b"\1" * 32)
    record.note("checkpoint/1", b"\1" * 32)
    path.write_bytes(path.read_bytes() + b'["checkpoint/2", "22')
    again = SigningRecord(path)
    again.note("checkpoint/2", b"\3" * 32)
    assert len(path.read_bytes().splitlines()) == 2
    with pytest.raises(Conflict):
        SigningRecord(path).note("checkpoint/1", b"\4" * 32)
    path.write_bytes(b"garbage\n")
    with pytest.raises(StorageCorrupt):
        SigningRecord(path)


class PaperDesk:
    """Offers the same request again and again, and takes answers as the service does."""

    def __init__(self, document: dict[str, object]) -> None:
        self.document = document
        self.answers: list[Answer] = []

    async def attestation_requests(self, attestor: bytes) -> list[dict[str, object]]:
        return [self.document]

    async def post_attestation(self, attestor: bytes, answer: Answer) -> None:
        assert answer.refusal is None or len(answer.refusal) <= MAX_REASON_CHARACTERS
        self.answers.append(answer)


@pytest.mark.asyncio
async def test_follower__refused_with_a_long_reason__is_handed_in_cut_and_rests(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = {"id": 1, "tree_size": scene.checkpoint().tree_size, "root_hash": "0x" + "00" * 32}
    desk, seconds = PaperDesk(document), [0.0]

    def complain(_: Checkpoint) -> None:
        raise VerificationFailed("facts contradict the chain", found="x" * 60_000)

    monkeypatch.setattr(scene.attestor, "_compare_root", complain)
    refused = Refused(now=lambda: seconds[0])
    for at, answers in ((0.0, 1), (59.0, 1), (60.0, 2)):
        seconds[0] = at
        await answer_open_requests(desk, scene.attestor, b"\x01" * 20, refused)
        assert len(desk.answers) == answers


@pytest.mark.asyncio
async def test_attestor__corrections__signs_what_contains_them_and_nothing_else(
    tmp_path: Path,
) -> None:
    log = CorrectableLog(World(holdback=5_000))
    indexes = log.send(*(log.world.event() for _ in range(4)))
    log.correct(indexes[0], -1)
    scene = Scene(tmp_path)
    scene.log.all, scene.machine = log.entries, log.machine
    facts = next(f for f in log.world.facts() if isinstance(f, ChainFacts))
    scene.chain = PaperChain(facts)
    scene.attestor = scene.new_attestor()
    asked = scene.statement()
    assert (asked.corrections, asked.lines_total_base_units) == (1, 6_000)
    assert (await scene.attestor.answer(scene.ask(asked))).signature is not None
    for lie in ({"corrections": 0}, {"corrections": 2}, {"lines_total_base_units": 8_000}):
        answer = await scene.new_attestor("other").answer(scene.ask(scene.statement(**lie)))
        assert answer.refusal is not None

    twice = replace(log.correction(indexes[0], -1), detail="again")
    scene.log.all = [*log.entries, twice.to_entry()]
    answer = await scene.attestor.answer(scene.ask())
    assert answer.refusal is not None
    assert "stands already" in answer.refusal
