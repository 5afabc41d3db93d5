"""Whatever is done to an archive, a restore gives a true beginning of the log, or refuses."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.errors import AdtallyError
from adtally.log.restore import restore
from adtally.log.store import LogStore
from support.archived_log import (
    ORIGIN,
    archived,
    local_archive,
    made_entries,
    write_log,
)


def _damage(data: st.DataObject, target: Path) -> None:
    paths = sorted(target.iterdir())
    path = data.draw(st.sampled_from(paths), label="object")
    content = bytearray(path.read_bytes())
    kind = data.draw(st.sampled_from(["flip", "cut", "add", "remove", "copy"]), label="kind")
    if kind == "flip":
        at = data.draw(st.integers(0, 8 * len(content) - 1), label="bit") if content else 0
        if content:
            content[at // 8] ^= 1 << at % 8
        path.write_bytes(content)
    elif kind == "cut":
        path.write_bytes(content[: data.draw(st.integers(0, len(content)), label="length")])
    elif kind == "add":
        path.write_bytes(content + data.draw(st.binary(max_size=9), label="more"))
    elif kind == "remove":
        path.unlink()
    else:
        other = data.draw(st.sampled_from(paths), label="onto")
        other.write_bytes(content)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**16), st.data())
def test_restore__damaged_anyhow__true_beginning_or_refused(seed: int, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        batches = made_entries(seed, 25)
        entries = [entry for batch in batches for entry in batch]
        write_log(place / "log", batches)
        end = archived(place / "log", local_archive(place / "archive"))
        for _ in range(data.draw(st.integers(0, 3), label="damages")):
            _damage(data, place / "archive")
        try:
            restored = restore(local_archive(place / "archive"), place / "new", origin=ORIGIN)
        except AdtallyError:
            assert not (place / "new").exists()
            return
        assert restored.tree_size <= end
        with LogStore.open(place / "new") as store:
            assert store.entries(0, store.size) == entries[: restored.tree_size]
