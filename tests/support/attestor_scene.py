"""An attestor with everything that is its own, over a log and a chain of paper.

Store, machine processes, signing record, signatures and judgement are the real ones; the operator's
service and the node answer from memory, so that tests can make them lie.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adtally.attestation.answers import AnswerBook, Domains, Signed, SignedRefusal
from adtally.attestation.judgement import Standing
from adtally.attestation.requests import AttestationRequest
from adtally.attestation.signing_record import SigningRecord
from adtally.attestor.attesting import Attesting
from adtally.attestor.facts_desk import FactsDesk
from adtally.attestor.follower import LogFollower
from adtally.attestor.ladder import MachineLadder
from adtally.attestor.log_copy import LogCopy
from adtally.attestor.machine_hub import MachineHub
from adtally.attestor.recall import Recall
from adtally.attestor.rounds import Rounds
from adtally.attestor.signers import KeySigner
from adtally.attestor.signing import SigningDesk
from adtally.attestor.sources import SourceFailed
from adtally.attestor.statement_store import StatementStore
from adtally.errors import AdtallyError
from adtally.events.facts import ChainFacts, FactLog
from adtally.events.signature import address_of
from adtally.log.checkpoint import NoteSigner, sign_checkpoint
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.settlement.machine import LogMachine, batch_entries
from adtally.types import Address, BlockStamp, ChainLog, Checkpoint, Hash, Statement
from support.world import (
    CAMPAIGN,
    ESCROW,
    ESCROW_DOMAIN,
    IDENTITY,
    NOON_MS,
    WATCHED_CONTRACTS,
    World,
    key_of,
)

KEY = key_of(77)
ME = address_of(KEY)
OTHER_KEY = key_of(78)
OTHER = address_of(OTHER_KEY)
ADDRESSES = {code: address for address, code in WATCHED_CONTRACTS.items()}
DOMAINS = Domains(IDENTITY, ESCROW)
ORIGIN = "log.example/paper"
NOTE_SIGNER = NoteSigner(ORIGIN, b"\x07" * 32)


class PaperChain:
    """The chain that the world's facts came from; block n has the facts' time."""

    def __init__(self, facts: ChainFacts) -> None:
        self.final_block = facts.last_block
        self.last = BlockStamp(
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
        return replace(self.last, number=self.final_block)

    async def block(self, number: int) -> BlockStamp | None:
        return replace(self.last, number=number) if number <= self.final_block else None

    async def logs(self, first: int, last: int, addresses: Sequence[Address]) -> list[ChainLog]:
        return [log for log in self.chain_logs if first <= log.block_number <= last]


class PaperChainBook:
    """What is anchored and settled: whatever a test says."""

    def __init__(self) -> None:
        self.anchors: dict[int, Any] = {}
        self.statements: dict[tuple[int, int], Any] = {}
        self.standings: dict[int, Standing] = {}
        self.looked_to = 0
        self.head = 0
        self.chain = self
        self.event_log = self
        self.signatures: list[bytes] = []

    async def look(self) -> list[Any]:
        return []

    async def standing(self, campaign: int) -> Standing:
        return self.standings.get(campaign, Standing())

    async def final(self) -> None:
        return None

    async def head_size(self, at: object) -> int:
        return self.head

    async def signatures_in(self, each: object) -> list[bytes]:
        return self.signatures


@dataclass
class PaperSource:
    """A service that serves entries and signed notes from memory, and takes answers."""

    url: str = "paper://operator"
    entries_served: list[bytes] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    posted: list[tuple[str, Any]] = field(default_factory=list)
    signed: list[Signed] = field(default_factory=list)
    note_signer: NoteSigner = NOTE_SIGNER
    away: bool = False
    asked_entries: int = 0
    other_entries: list[bytes] | None = None
    """Served in place of what the notes are signed over."""
    refuses: AdtallyError | None = None

    def tree(self) -> MerkleTree:
        tree = MerkleTree()
        tree.append([leaf_hash(entry) for entry in self.entries_served])
        return tree

    def _require_here(self) -> None:
        if self.away:
            raise SourceFailed(self.url, AdtallyError("it is away"))

    async def checkpoint_note(self) -> bytes:
        self._require_here()
        tree = self.tree()
        return sign_checkpoint(self.note_signer, Checkpoint(tree.size, tree.root()))

    async def entries(self, start: int, end: int) -> list[bytes]:
        self._require_here()
        self.asked_entries += end - start
        served = self.entries_served if self.other_entries is None else self.other_entries
        return served[start:end]

    async def consistency_proof(self, first: int, second: int) -> list[Hash]:
        self._require_here()
        return self.tree().consistency_proof(first, second)

    async def signed_by(self, attestor: str, after: int = 0) -> list[Any]:
        self._require_here()
        found = [each for each in self.signed if f"0x{each.attestor.hex()}" == attestor]
        return [each.to_json() for each in found[after:]]

    async def json(self, path: str, **params: str | int) -> Any:
        self._require_here()
        assert path == "/attestations/requests"
        return self.requests

    async def post(self, path: str, document: object) -> Any:
        self._require_here()
        if self.refuses is not None:
            raise self.refuses
        self.posted.append((path, document))
        return {}


class NoDeposits:
    """An attestor without peers."""

    async def leave(self, signed: Signed) -> None:
        return None


@dataclass
class Scene:
    """A log of facts and two batches, and an attestor that follows it."""

    folder: Path
    source: PaperSource
    chain: PaperChain
    book: PaperChainBook
    machine: LogMachine
    attesting: Attesting
    rounds: Rounds
    recall: Recall
    seconds: list[float]

    @property
    def copy(self) -> LogCopy:
        return self.attesting.follower.copy

    @property
    def fact_logs(self) -> tuple[FactLog, ...]:
        """The logs in the log's first chain facts."""
        return ChainFacts.from_entry(self.source.entries_served[1]).logs

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        tree = self.source.tree()
        size = tree.size if size is None else size
        return Checkpoint(size, tree.root(size))

    def statement(self, **changes: object) -> Statement:
        statement, _ = self.machine.statement(CAMPAIGN, 1, is_final=False)
        return replace(statement, **changes)  # type: ignore[arg-type]

    def ask(
        self, statement: Statement | None = None, checkpoint: Checkpoint | None = None
    ) -> AttestationRequest:
        return AttestationRequest(1, checkpoint or self.checkpoint(), statement)

    async def answer(
        self, statement: Statement | None = None, checkpoint: Checkpoint | None = None
    ) -> Signed | SignedRefusal:
        return await self.attesting.answer(self.ask(statement, checkpoint), self.source)

    async def refusal(self, *asked: Any) -> str:
        """The refusal's text; fails when it was signed."""
        answer = await self.answer(*asked)
        assert isinstance(answer, SignedRefusal), "it was signed"
        assert DOMAINS.read_refusal(answer.to_json()) == answer
        return str(answer.refusal)


def two_batches(world: World) -> tuple[list[bytes], LogMachine]:
    """The world's facts and two batches, and a machine that knows them."""
    machine = world.machine()
    entries = [facts.to_entry() for facts in world.facts()]
    for _ in range(2):
        batch = world.batch([world.event() for _ in range(4)])
        entries += batch_entries(batch, NOON_MS, machine.judge_batch(batch, NOON_MS))
    return entries, machine


@asynccontextmanager
async def open_scene(
    folder: Path,
    *,
    source: PaperSource | None = None,
    peers: Sequence[PaperSource] = (),
    world: World | None = None,
    snapshot_every_entries: int = 250_000,
    confirm: bool = True,
) -> AsyncIterator[Scene]:
    """An attestor over ``folder``; opened twice over one folder it is the same one again."""
    world = world or World()
    machine = world.machine()
    if source is None:
        entries, machine = two_batches(world)
        source = PaperSource(entries_served=entries)
    chain = PaperChain(next(f for f in world.facts() if isinstance(f, ChainFacts)))
    seconds = [0.0]
    async with AsyncExitStack() as stack:
        copy = LogCopy(folder)
        stack.callback(copy.close)
        hub = await stack.enter_async_context(MachineHub())
        ladder = MachineLadder(
            hub,
            copy,
            folder / "snapshots",
            IDENTITY,
            ESCROW_DOMAIN,
            snapshot_every_entries=snapshot_every_entries,
        )
        await ladder.open()
        record = SigningRecord(folder / "signed.jsonl")
        stack.callback(record.close)
        answers = AnswerBook(folder / "answers.jsonl", DOMAINS)
        stack.callback(answers.close)
        book = PaperChainBook()
        follower = LogFollower(
            copy,
            ladder,
            FactsDesk(chain, WATCHED_CONTRACTS, 1),
            folder,
            NOTE_SIGNER.verifier,
            ORIGIN,
        )
        attesting = Attesting(
            follower,
            book,  # type: ignore[arg-type]
            SigningDesk(KeySigner(KEY), record, answers, DOMAINS, NoDeposits()),
            StatementStore(folder / "statements", ESCROW_DOMAIN),
            gone_after_seconds=100.0,
            clock_ms=lambda: NOON_MS,
            monotonic=lambda: seconds[0],
        )
        sources: Any = [source, *peers]
        recall = Recall(record, answers, DOMAINS, ME, book, source, sources[1:])  # type: ignore[arg-type]
        rounds = Rounds(attesting, recall, sources[0], sources[1:], [ME, OTHER])
        if confirm:
            record.confirm()
        yield Scene(folder, source, chain, book, machine, attesting, rounds, recall, seconds)
