"""Records laid out for the log against the plain bundle, and taken out of it again."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adtally import rfc9162
from adtally.events.record import RECORD_SIZE, VERDICT_OFFSET
from adtally.events.verdict import Verdict, Verdicts
from adtally.intake.group import (
    BatchEntries,
    Commit,
    FactsEntries,
    LoggedBatch,
    logged_leaf_hashes,
    split_bundle,
)
from adtally.kernel.logged_records import FRAMED_SIZE, LoggedRecords, lay_out
from adtally.kernel.records import RecordArray
from adtally.log.bundle import encode_bundle

counts = st.one_of(st.integers(1, 40), st.sampled_from([255, 256, 257]))
seeds = st.integers(0, 2**32)


def signed(random: Random, count: int) -> list[bytes]:
    records = (bytearray(random.randbytes(RECORD_SIZE)) for _ in range(count))
    return [bytes(each[:VERDICT_OFFSET] + b"\0" + each[VERDICT_OFFSET + 1 :]) for each in records]


def verdicts_on(random: Random, records: list[bytes]) -> Verdicts:
    return Verdicts(random.choice(list(Verdict)) for _ in records)


def judged(records: list[bytes], verdicts: Verdicts) -> list[bytes]:
    """As the log must have them; in plain bytes."""
    return [
        record[:VERDICT_OFFSET] + bytes((code,)) + record[VERDICT_OFFSET + 1 :]
        for record, code in zip(records, verdicts.codes, strict=True)
    ]


@settings(deadline=None)
@given(seed=seeds, count=counts)
def test_lay_out__any_records__is_the_plain_bundle_and_its_hashes(seed: int, count: int) -> None:
    random = Random(seed)
    records = signed(random, count)
    verdicts = verdicts_on(random, records)
    # Everything is written, whatever was there; nothing beside the room is.
    room = np.full(count * FRAMED_SIZE + 14, 0xEE, np.uint8)
    hashes = np.full((count + 2, 32), 0xEE, np.uint8)
    lay_out(RecordArray.of(records), verdicts, room[7:-7], hashes[1:-1])
    entries = judged(records, verdicts)
    assert room[7:-7].tobytes() == encode_bundle(entries)
    assert hashes[1:-1].tobytes() == rfc9162.leaf_hashes(entries)
    assert (room[:7] == 0xEE).all()
    assert (room[-7:] == 0xEE).all()
    assert (hashes[[0, -1]] == 0xEE).all()


@settings(deadline=None)
@given(seed=seeds, count=counts)
def test_read__what_was_laid_out__gives_all_of_it_back(seed: int, count: int) -> None:
    random = Random(seed)
    records = signed(random, count)
    verdicts = verdicts_on(random, records)
    entries = judged(records, verdicts)
    before = random.randbytes(random.randrange(200))
    bundle = before + encode_bundle(entries) + random.randbytes(random.randrange(200))
    found = LoggedRecords.read(bundle, len(before), count)
    assert found is not None
    assert list(found) == entries
    assert [found[at] for at in range(-count, count)] == entries + entries
    assert found[1:] == entries[1:]
    assert len(found) == count
    assert list(found.signed) == records
    assert found.verdicts == verdicts
    assert found.leaf_hashes.tobytes() == rfc9162.leaf_hashes(entries)


@settings(deadline=None)
@given(seed=seeds, count=st.integers(1, 20))
def test_read__another_length_anywhere_or_too_few_bytes__none(seed: int, count: int) -> None:
    random = Random(seed)
    bundle = bytearray(encode_bundle(signed(random, count)))
    assert LoggedRecords.read(bytes(bundle), 0, count) is not None
    assert LoggedRecords.read(bytes(bundle), 0, count + 1) is None
    assert LoggedRecords.read(bytes(bundle[:-1]), 0, count) is None
    at = random.randrange(count) * FRAMED_SIZE + random.randrange(2)
    bundle[at] ^= 1 << random.randrange(8)
    assert LoggedRecords.read(bytes(bundle), 0, count) is None


@settings(deadline=None)
@given(seed=seeds)
def test_commit__any_entries__laid_out_as_the_plain_bundle_and_split_again(seed: int) -> None:
    random = Random(seed)
    commit = Commit(first_index=random.randrange(100))
    entries: list[bytes] = []
    batches: list[list[bytes]] = []
    for _ in range(random.randrange(1, 6)):
        if random.random() < 0.4:
            facts = [b"\x03" + random.randbytes(random.randrange(300)) for _ in range(2)]
            assert commit.add(FactsEntries(facts)) == commit.first_index + len(entries)
            entries += facts
            continue
        records = signed(random, random.randrange(1, 40))
        verdicts = verdicts_on(random, records)
        # Kind, member, sequence, count, time, signer, signature: docs/spec/envelope.md.
        numbers = (7).to_bytes(4, "big") + (9).to_bytes(8, "big") + len(records).to_bytes(4, "big")
        envelope = b"\x02\0" + numbers + random.randbytes(91)
        part = BatchEntries(envelope, RecordArray.of(records), verdicts)
        assert commit.add(part) == commit.first_index + len(entries)
        batches.append(judged(records, verdicts))
        entries += [envelope, *batches[-1]]
    frame, hashes = commit.laid_out()
    assert (commit.count, commit.bundle_bytes) == (len(entries), len(frame.payload))
    assert frame.payload.tobytes() == encode_bundle(entries)
    assert hashes == rfc9162.leaf_hashes(entries)
    parts = list(split_bundle(frame.payload.tobytes()))
    assert [list(part.records) for part in parts if isinstance(part, LoggedBatch)] == batches
    assert logged_leaf_hashes(parts) == hashes


def test_lay_out__room_of_another_size__is_refused() -> None:
    records = RecordArray.of(signed(Random(1), 2))
    room, hashes = np.empty(2 * FRAMED_SIZE + 1, np.uint8), np.empty((2, 32), np.uint8)
    with pytest.raises(ValueError, match="reshape"):
        lay_out(records, Verdicts([1, 1]), room, hashes)
    for entries, hashes_wanted, codes in ((1, 2, 2), (2, 1, 2), (2, 2, 1), (3, 2, 2)):
        with pytest.raises(ValueError, match="2 records"):
            lay_out(
                records,
                Verdicts([1] * codes),
                np.empty(entries * FRAMED_SIZE, np.uint8),
                np.empty((hashes_wanted, 32), np.uint8),
            )
