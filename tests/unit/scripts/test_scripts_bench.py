"""The pure parts of scripts/bench: names of figures, ratios, what a missing part leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from scripts import figures
from scripts.bench import __main__ as bench
from scripts.bench import others
from scripts.bench.parts import tessera
from scripts.bench.sheet import RATIOS, Ratio, Sheet, ratios
from scripts.bench.stage import Stage
from scripts.figures import Figure

ROOT = Path(__file__).resolve().parents[3]


def sheet(**values: float) -> Sheet:
    made = Sheet()
    for name, value in values.items():
        made.put(name.replace("__", "."), value, "made up")
    return made


# ---------------------------------------------------------------- sheets and ratios


def test_put__same_name_twice__is_refused() -> None:
    made = sheet(a__b=1)
    with pytest.raises(ValueError, match=r"a\.b"):
        made.put("a.b", 2, "again")


def test_ratios__both_figures__divided_and_how_says_which() -> None:
    found = ratios(sheet(ours__x=90, theirs__x=20).figures, [Ratio("r", ("ours.x",), "theirs.x")])
    assert found.figures["r"] == Figure(4.5, "x", "ours.x to theirs.x")
    assert found.notes == []


def test_ratios__two_of_ours__the_larger_counts() -> None:
    wanted = [Ratio("r", ("ours.a", "ours.b"), "theirs.x")]
    found = ratios(sheet(ours__a=10, ours__b=30, theirs__x=10).figures, wanted)
    assert found.figures["r"].value == 3
    assert found.figures["r"].how.startswith("ours.b")


@pytest.mark.parametrize("there", [{"ours__x": 1.0}, {"theirs__x": 1.0}])
def test_ratios__one_figure_missing__a_note_and_no_figure(there: dict[str, float]) -> None:
    found = ratios(sheet(**there).figures, [Ratio("r", ("ours.x",), "theirs.x")])
    assert found.figures == {}
    missing = "theirs.x" if "ours__x" in there else "ours.x"
    assert found.notes == [f"r is absent: {missing} was not measured"]


def test_ratios__names_and_directions__are_those_that_others_quote() -> None:
    """Ours over theirs: more is better for all of them."""
    there = {ratio.name: (ratio.over[0], ratio.under) for ratio in RATIOS}
    assert (
        there.items()
        >= {
            "ingest.ratio_naive": ("ingest.binary_events_per_second", "naive.events_per_second"),
            "ingest.ratio_sha256_limit": (
                "ingest.binary_events_per_second",
                "limit.sha256_per_second",
            ),
            "ingest.ratio_tessera_best": (
                "ingest.binary_events_per_second",
                "tessera.best_events_per_second",
            ),
            "ingest.ratio_tessera_single": (
                "ingest.hits_per_second",
                "tessera.single_events_per_second",
            ),
        }.items()
    )


# ---------------------------------------------------------------- the report


def test_report__sheets__merged_with_ratios_notes_and_hardware(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "commit", lambda _: "c0ffee")
    noted = sheet(naive__events_per_second=50)
    noted.note("something is missing")
    ours = sheet(ingest__binary_events_per_second=500)
    report: Any = bench._report([ours, noted], {"intake": 3})
    assert report["figures"]["ingest.ratio_naive"]["value"] == 10
    assert report["notes"][0] == "something is missing"
    assert any("ratio_tessera_best is absent" in note for note in report["notes"])
    assert report["seconds"] == {"intake": 3}
    assert report["machine"]["memory_bytes"] > 2**28
    assert report["machine"]["cpu"]
    json.dumps(report)


def test_report__two_sheets_with_one_figure__refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "commit", lambda _: "c0ffee")
    with pytest.raises(ValueError, match=r"a\.b"):
        bench._report([sheet(a__b=1), sheet(a__b=1)], {})


def test_circumstances__others_busy_in_one_part__a_note_names_it() -> None:
    notes = bench._circumstances({"intake": 0.05, "tessera": 0.42, "http": None}).notes
    assert notes == ["the machine was not quiet: others used 42% of its cores during tessera"]


def test_others__work_of_this_process_and_its_children__is_not_theirs() -> None:
    """Half a second of work here, half in a child: both are counted, as own."""
    busy, own = others.busy_seconds(), others.own_seconds()
    spin = "import time\nwhile time.process_time() < 0.5: pass"
    subprocess.run([sys.executable, "-c", spin], check=True)
    exec(spin.replace("0.5", str(time.process_time() + 0.5)))
    spent = others.own_seconds() - own
    assert 0.9 < spent < 5
    if busy is not None:
        assert (others.busy_seconds() or 0) - busy > 0.8 * spent


MOUNTINFO = """\
22 28 0:21 / /proc rw,nosuid - proc proc rw
28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw
40 28 259:3 /sub /data rw - xfs /dev/data rw
"""


@pytest.mark.parametrize(
    ("device", "expected"),
    [((254, 1), "ext4"), ((259, 3), "xfs"), ((0, 21), "proc"), ((8, 1), "unknown")],
)
def test_filesystem__device__type_of_its_mount(device: tuple[int, int], expected: str) -> None:
    assert figures.filesystem(MOUNTINFO, os.makedev(*device)) == expected


def test_machine__no_name_and_no_path() -> None:
    told = json.dumps(figures.machine(ROOT))
    assert str(ROOT) not in told
    assert os.uname().nodename not in told
    assert "/dev" not in told


# ---------------------------------------------------------------- Tessera


def test_tessera__no_go__a_note_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tessera.shutil, "which", lambda *_, **__: None)
    found = tessera.measure(Stage(tmp_path))
    assert found.figures == {}
    assert found.notes == ["Tessera was not measured: there is no go on this machine"]


def test_tessera__modules_not_to_be_had__a_note_has_go_s_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho 'module lookup disabled' >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setattr(tessera.shutil, "which", lambda *_, **__: str(go))
    found = tessera.measure(Stage(tmp_path / "build"))
    assert found.figures == {}
    assert found.notes == ["Tessera was not measured: go build failed: module lookup disabled"]


def test_tessera__version__is_the_one_that_go_mod_pins() -> None:
    assert f"{tessera.MODULE} {tessera.VERSION}" in (tessera.SOURCE / "go.mod").read_text()


def test_tessera_size__no_file_yet_and_a_state__0_and_its_size(tmp_path: Path) -> None:
    state = tmp_path / "treeState"
    assert tessera._size(state) == 0
    state.write_text('{"size": 1234, "root": ""}')
    assert tessera._size(state) == 1234
