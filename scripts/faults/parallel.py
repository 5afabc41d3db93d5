"""The same batch, batch number or event id from many at once: one of them counts."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from adtally.events.batch import SignedBatch
from adtally.events.record import AdEvent, EventType, new_event_id
from adtally.events.verdict import Verdict

from .book import Book
from .lives import Launcher, Life
from .runs import honest_life
from .traffic import Publisher, sign_events
from .wire import Answer, Connection, batch_request
from .workers import Outcome
from .world import ADVERTISER, NOW_MS

Work = Callable[[Launcher, Path, int], Awaitable[Outcome]]

AT_ONCE = 100
_EVENTS = 5
_IDS = 10


async def identical_batches(launcher: Launcher, directory: Path, runs: int) -> Outcome:
    """One batch on a hundred connections: one receipt, byte for byte."""
    outcome, book, publisher = Outcome(), Book(), Publisher(10, seed=1)
    life = await launcher.start(directory)
    connections = [life.client() for _ in range(AT_ONCE)]
    for _ in range(runs):
        batch = publisher.batch(_EVENTS)
        book.sending(batch)
        answers = await _at_once(connections, [batch] * AT_ONCE)
        for answer in answers:
            book.answered(batch, answer)
        name = (batch.member, batch.sequence)
        bodies = {answer.body.replace(b"true", b"false") for answer in answers if answer}
        if len(bodies) != 1:
            outcome.problems.append(f"batch {name}: {len(bodies)} different answers")
        if name not in book.fresh:
            outcome.problems.append(f"batch {name}: nobody was told that it is new")
        outcome.counts["parallel_identical_runs"] += 1
    outcome.problems += await _finish(launcher, directory, life, connections, book)
    return outcome


async def other_bodies(launcher: Launcher, directory: Path, runs: int) -> Outcome:
    """A hundred batches under one member and sequence: one has a receipt, 99 are conflicts."""
    outcome, book, publisher = Outcome(), Book(), Publisher(10, seed=2)
    life = await launcher.start(directory)
    connections = [life.client() for _ in range(AT_ONCE)]
    for _ in range(runs):
        publisher.sequence += 1
        batches = [
            sign_events(publisher.member, publisher.sequence, [publisher.impression()])
            for _ in range(AT_ONCE)
        ]
        for batch in batches:
            book.sending(batch)
        answers = await _at_once(connections, batches)
        found: Counter[str] = Counter()
        for batch, answer in zip(batches, answers, strict=True):
            if answer is not None and answer.status == 200:
                book.answered(batch, answer)
            found[_outcome_of(answer)] += 1
        if found != {"receipt": 1, "conflict": AT_ONCE - 1}:
            outcome.problems.append(f"sequence {publisher.sequence}: {dict(found)}")
        outcome.counts["parallel_body_runs"] += 1
    outcome.problems += await _finish(launcher, directory, life, connections, book)
    return outcome


async def same_ids(launcher: Launcher, directory: Path, runs: int) -> Outcome:
    """Publisher and advertiser report conversions under the same ids, with other bodies, at once.

    Each sends its own batches of one event, the advertiser in the opposite order: of each id
    exactly one is accepted and the other is a conflict, whoever came first.
    """
    outcome, book, publisher = Outcome(), Book(), Publisher(10, seed=3)
    life = await launcher.start(directory)
    connections = [life.client(), life.client()]
    advertised = 0
    for _ in range(runs):
        clicks = await _clicks(connections[0], publisher, book)
        mine = [_conversion(click, 1) for click in clicks]
        theirs = [replace(event, value_minor_units=2) for event in reversed(mine)]
        publisher_batches = [publisher.signed([event]) for event in mine]
        advertiser_batches = [
            sign_events(ADVERTISER, advertised + number, [event])
            for number, event in enumerate(theirs, 1)
        ]
        advertised += len(theirs)
        await asyncio.gather(
            _in_order(connections[0], publisher_batches, book),
            _in_order(connections[1], advertiser_batches, book),
        )
        for one, other in zip(publisher_batches, reversed(advertiser_batches), strict=True):
            verdicts = sorted(
                verdict
                for batch in (one, other)
                for verdict in book.promised[(batch.member, batch.sequence)].verdicts
            )
            if verdicts != [Verdict.ACCEPTED, Verdict.CONFLICT]:
                outcome.problems.append(f"one id, two bodies: {[each.label for each in verdicts]}")
        outcome.counts["parallel_id_runs"] += 1
    outcome.problems += await _finish(launcher, directory, life, connections, book)
    return outcome


async def _clicks(connection: Connection, publisher: Publisher, book: Book) -> list[AdEvent]:
    """Accepted clicks, for conversions to follow."""
    impressions = [publisher.impression() for _ in range(_IDS)]
    clicks = [
        replace(publisher.impression(), type=EventType.CLICK, parent_id=impression.id)
        for impression in impressions
    ]
    await _in_order(connection, [publisher.signed([*impressions, *clicks])], book)
    return clicks


def _conversion(click: AdEvent, value: int) -> AdEvent:
    return replace(
        click,
        type=EventType.CONVERSION,
        id=new_event_id(NOW_MS, click.id[6:]),
        occurred_at_ms=NOW_MS,
        parent_id=click.id,
        value_minor_units=value,
        currency=978,
    )


async def _in_order(connection: Connection, batches: Sequence[SignedBatch], book: Book) -> None:
    for batch in batches:
        book.sending(batch)
        if not book.answered(batch, await connection.request(batch_request(batch))):
            raise RuntimeError(f"no receipt for {batch.member}, {batch.sequence}: {book.problems}")


async def _at_once(
    connections: Sequence[Connection], batches: Sequence[SignedBatch]
) -> list[Answer | None]:
    requests = [batch_request(batch) for batch in batches]
    return await asyncio.gather(
        *(
            connection.request(request)
            for connection, request in zip(connections, requests, strict=True)
        )
    )


def _outcome_of(answer: Answer | None) -> str:
    if answer is None:
        return "no answer"
    return "receipt" if answer.status == 200 else str(json.loads(answer.body)["code"])


async def _finish(
    launcher: Launcher,
    directory: Path,
    life: Life,
    connections: Sequence[Connection],
    book: Book,
) -> list[str]:
    for connection in connections:
        connection.close()
    await life.kill()
    return await honest_life(launcher, directory, [], book)
