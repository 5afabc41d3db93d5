"""One attestor's store that lies, or fails, can't keep the others from finishing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from adtally.attestation.documents import statement_json
from adtally.attestor.finish import Finish, Pass
from adtally.attestor.sources import SourceFailed
from adtally.errors import InvalidInput, VerificationFailed
from adtally.types import Checkpoint, Counts, Statement

RIGHT, WRONG = b"\1" * 32, b"\2" * 32
SIZE, HEAD = 1_000, 400
STATEMENT = Statement(1, 1, HEAD, 0, Counts(), 0, bytes(32), False)


@dataclass
class Store:
    """One attestor's site, as ``finish`` asks it."""

    url: str
    size: int
    root: bytes | None = RIGHT
    computed: Statement | None = None

    async def json(self, path: str, **params: Any) -> Any:
        if path == "/attestations/computed":
            if self.computed is None:
                raise SourceFailed(self.url, InvalidInput("down"))
            return statement_json(self.computed) | {"lines": []}
        if self.root is None or (params["second"] > SIZE and self.root == RIGHT):
            raise SourceFailed(self.url, InvalidInput("not so long"))
        return {"first_root_hash": self.root.hex(), "proof": []}


@dataclass
class Hunt:
    """Honest attestors sign the right root of what they have, and one right statement."""

    stores: list[Store]
    signed: list[Checkpoint] = field(default_factory=list)
    drafts: list[Statement] = field(default_factory=list)
    right: Statement | None = None
    problems: dict[str, str] = field(default_factory=dict)

    async def statuses(self) -> list[Any]:
        found = [SimpleNamespace(source=each, tree_size=each.size) for each in self.stores]
        return sorted(found, key=lambda each: each.tree_size, reverse=True)

    def threshold(self, attestor_set: int) -> int:
        return 2

    def signed_checkpoints(self) -> list[Checkpoint]:
        return self.signed

    def signed_statements(self, campaign: int, sequence: int) -> list[Statement]:
        return self.drafts

    def quorum(self, content: Checkpoint, attestor_set: int) -> object | None:
        return object() if content in self.signed else None

    async def propose(self, content: Any, attestor_set: int) -> object | None:
        if isinstance(content, Statement):
            return object() if content == self.right else None
        having = [each for each in self.stores if each.size >= content.tree_size]
        if content == Checkpoint(content.tree_size, RIGHT) and content.tree_size <= SIZE:
            honest = [each for each in having if each.root == RIGHT]
            if len(honest) >= 2:
                self.signed.append(content)
                return object()
        return None


class Escrow:
    """Campaign 1 has no statement yet."""

    async def campaign(self, number: int) -> Any:
        latest = SimpleNamespace(
            is_final=False, activates_at_seconds=0, sequence=0, lines_total_base_units=0,
            corrections=0, lines_root=bytes(32),
        )  # fmt: skip
        return SimpleNamespace(latest=latest, closes_at_seconds=9)

    def settle_call(self, statement: Statement, quorum: object) -> object:
        return statement


class EventLog:
    async def head_size(self) -> int:
        return HEAD

    def anchor_call(self, before: Checkpoint, after: Checkpoint, *_: object) -> object:
        if before.root_hash != RIGHT:
            raise VerificationFailed("reverts")
        return after


class Wallet:
    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.chain = self

    async def latest(self) -> Any:
        return SimpleNamespace(timestamp_seconds=5)

    async def send(self, call: Any) -> None:
        self.sent.append(call)


def finishing(stores: list[Store]) -> tuple[Finish, Wallet]:
    """``Finish`` over these stores and no network."""
    wallet, work = Wallet(), object.__new__(Finish)
    parts = {
        "deployment": SimpleNamespace(attestor_set=1), "wallet": wallet, "chain": wallet,
        "sources": stores, "say": lambda line: None, "event_log": EventLog(), "escrow": Escrow(),
    }  # fmt: skip
    for name, part in parts.items():
        setattr(work, f"_{name}", part)
    return work, wallet


@pytest.mark.asyncio
@pytest.mark.parametrize("root", [WRONG, None], ids=["lies", "fails"])
async def test_anchor__one_store_claims_more_than_there_is__the_others_are_anchored(
    root: bytes | None,
) -> None:
    stores = [Store("liar", 10**18, root), Store("a", SIZE), Store("b", SIZE - 100)]
    work, wallet = finishing(stores)
    await work._anchor(Hunt(stores), 2, Pass())  # type: ignore[arg-type]
    assert wallet.sent == [Checkpoint(SIZE - 100, RIGHT)]


@pytest.mark.asyncio
async def test_state__a_draft_that_nobody_completes__the_next_one_is_tried() -> None:
    right = replace(STATEMENT, lines_total_base_units=7)
    work, wallet = finishing([])
    hunt = Hunt([], drafts=[replace(STATEMENT, lines_total_base_units=9), right], right=right)
    await work._state(1, SimpleNamespace(attestor_set=1), hunt, Pass())  # type: ignore[arg-type]
    assert wallet.sent == [right]


@pytest.mark.asyncio
@pytest.mark.parametrize(("voters", "is_left"), [(1, True), (2, False)])
async def test_state__nothing_more_is_owed__is_believed_of_a_quorum_only(
    voters: int, is_left: bool
) -> None:
    stores = [Store(str(at), HEAD, computed=STATEMENT) for at in range(voters)] + [Store("x", HEAD)]
    work, _ = finishing(stores)
    outcome = Pass()
    await work._state(1, SimpleNamespace(attestor_set=1), Hunt(stores), outcome)  # type: ignore[arg-type]
    assert bool(outcome.left) is is_left
    assert outcome.is_finished is not is_left
