"""The budget of request bodies: bounds of one, of all, of time; and what is given back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from adtally.api import body as body_module
from adtally.api.body import BodyBudget
from adtally.errors import InvalidInput, Overloaded, TooLarge


class Sender:
    """A client whose body comes in pieces; after the last it says nothing more."""

    def __init__(self, pieces: Sequence[bytes], announced: int | None = None) -> None:
        headers = [] if announced is None else [(b"content-length", b"%d" % announced)]
        self.scope: dict[str, Any] = {"type": "http", "headers": headers}
        self._messages = [
            {"type": "http.request", "body": piece, "more_body": at + 1 < len(pieces)}
            for at, piece in enumerate(pieces)
        ]

    async def receive(self) -> Any:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)

    def then(self, message: Any) -> Sender:
        self._messages[-1]["more_body"] = True
        if message is not None:
            self._messages.append(message)
        return self


async def read(budget: BodyBudget, sender: Sender) -> bytes:
    async with budget.body(sender.scope, sender.receive) as body:
        return body


@pytest.mark.asyncio
@pytest.mark.parametrize("announced", [None, 6])
async def test_body__in_pieces__is_whole_and_its_room_is_given_back(announced: int | None) -> None:
    budget = BodyBudget(limit_bytes=6, total_bytes=6)
    for _ in range(100):
        assert await read(budget, Sender([b"ab", b"", b"cdef"], announced)) == b"abcdef"


@pytest.mark.asyncio
async def test_body__too_long__refused_before_or_while_it_is_read() -> None:
    budget = BodyBudget(limit_bytes=6, total_bytes=60)
    with pytest.raises(TooLarge, match="too large"):
        await read(budget, Sender([b""], announced=7))
    with pytest.raises(TooLarge):
        await read(budget, Sender([b"abcd", b"efg"]))
    with pytest.raises(TooLarge):
        await read(budget, Sender([b"abcdefg"], announced=3))


@pytest.mark.asyncio
async def test_body__all_together_over_the_budget__the_next_is_pushed_back() -> None:
    budget = BodyBudget(limit_bytes=10, total_bytes=20)
    first, second = Sender([b"x" * 10]), Sender([b"y" * 8])
    async with (
        budget.body(first.scope, first.receive),
        budget.body(second.scope, second.receive),
    ):
        # Announced, it is refused before a byte of it is read.
        with pytest.raises(Overloaded, match="too many bodies"):
            await read(budget, Sender([], announced=3))
        with pytest.raises(Overloaded):
            await read(budget, Sender([b"abc"]))
        assert await read(budget, Sender([b"ab"])) == b"ab"
    assert await read(budget, Sender([b"x" * 10])) == b"x" * 10
    assert budget._left_bytes == 20


@pytest.mark.asyncio
async def test_body__sender_too_slow_or_gone__its_room_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body_module, "READ_SECONDS", 0.01)
    budget = BodyBudget(limit_bytes=10, total_bytes=10)
    with pytest.raises(InvalidInput, match="too slowly"):
        await read(budget, Sender([b"abc"], announced=9).then(None))
    with pytest.raises(InvalidInput, match="too slowly"):
        await read(budget, Sender([], announced=9))
    with pytest.raises(InvalidInput, match="has gone"):
        await read(budget, Sender([b"abc"], announced=9).then({"type": "http.disconnect"}))
    assert await read(budget, Sender([b"x" * 10])) == b"x" * 10


@pytest.mark.asyncio
async def test_body__error_while_it_is_used__its_room_is_given_back() -> None:
    budget = BodyBudget(limit_bytes=10, total_bytes=10)
    sender = Sender([b"abc"], announced=3)
    with pytest.raises(ZeroDivisionError):
        async with budget.body(sender.scope, sender.receive):
            raise ZeroDivisionError
    assert budget._left_bytes == 10
