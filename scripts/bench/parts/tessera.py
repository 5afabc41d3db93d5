"""Tessera's POSIX log on the same disk and cores, under its own load tool.

Tessera (github.com/transparency-dev/tessera) answers an entry when its bundle, tiles and tree state
are synced. Its example server and load tool (``hammer``) are built from the pinned module; the
server in ``scripts/bench/tessera`` is the same with settings that the example leaves fixed, and
adds entries without HTTP too. Rates are of the tree state on the disk: entries that are durable and
integrated. Entries have the size of our records and no signatures, verdicts or prices.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adtally.events.record import RECORD_SIZE

from ..sheet import Sheet
from ..stage import ROOT, Stage, read_port

VERSION = "v1.0.4"
MODULE = "github.com/transparency-dev/tessera"
SOURCE = ROOT / "scripts" / "bench" / "tessera"

_WARM_UP_SECONDS = 1.5
_WINDOW_SECONDS = 3.0
_BUILD_SECONDS = 100
_START_SECONDS = 10


class Unavailable(Exception):
    """Tessera can't be built here; the text says why."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run it.

    Args:
        writers: entries open at once, each a request of its own.
        batch_size: entries that Tessera integrates at once at most; 0 for its own example server,
            which has 256, a batch age of a second and a checkpoint each second.
        batch_age_ms: how long it waits for them.
        shares_cores: server and load both have all cores, instead of one each.
    """

    writers: int
    batch_size: int = 0
    batch_age_ms: int = 0
    shares_cores: bool = False

    def __str__(self) -> str:
        batches = (
            f"batches of up to {self.batch_size:,} or {self.batch_age_ms} ms"
            if self.batch_size
            else "its example server"
        )
        cores = ", all cores shared" if self.shares_cores else ""
        return f"{batches}, {self.writers:,} writers{cores}"


EXAMPLE = (Setting(512), Setting(1_024), Setting(4_096))
TUNED = (
    Setting(1_024, 512, 50),
    Setting(2_048, 1_024, 20),
    Setting(4_096, 1_024, 20),
    Setting(1_024, shares_cores=True),
)
IN_PROCESS = (
    Setting(256, 128, 5),
    Setting(1_024, 512, 5),
    Setting(4_096, 2_048, 5),
    Setting(16_384, 8_192, 5, shares_cores=True),
)


def measure(stage: Stage) -> Sheet:
    """Rates with single entries, at its best, and without HTTP; notes where it can't be built."""
    sheet = Sheet()
    try:
        tools = build(stage.build / "tessera")
    except Unavailable as reason:
        sheet.note(f"Tessera was not measured: {reason}")
        return sheet
    example = rates(EXAMPLE, lambda setting: _over_http(stage, tools, setting))
    tuned = rates(TUNED, lambda setting: _over_http(stage, tools, setting))
    alone = rates(IN_PROCESS, lambda setting: _in_process(stage, tools, setting))
    of = f"Tessera {VERSION} POSIX, entries of {RECORD_SIZE} bytes, durable and integrated"
    load = "its hammer over HTTP, a request an entry"
    _put_best(sheet, "tessera.single_events_per_second", example, f"{of}; {load}")
    _put_best(sheet, "tessera.best_events_per_second", example | tuned, f"{of}; {load}")
    how = f"{of}; added from its own process, no HTTP"
    _put_best(sheet, "tessera.in_process_events_per_second", alone, how)
    return sheet


def rates(
    settings: tuple[Setting, ...], measure_one: Callable[[Setting], float]
) -> dict[Setting, float]:
    """The rate with each setting, printed as they come."""
    found = {}
    for setting in settings:
        found[setting] = measure_one(setting)
        print(f"  Tessera, {setting}: {found[setting]:,.0f} 1/s", flush=True)
    return found


def _put_best(sheet: Sheet, name: str, found: dict[Setting, float], how: str) -> None:
    best = max(found, key=lambda setting: found[setting])
    sheet.put(name, found[best], f"{how}; best of {len(found)} settings: {best}")


# Building ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tools:
    """Programs, and the keys of a new note signer."""

    example: Path
    hammer: Path
    ours: Path
    private_key: Path
    public_key: str
    log: Path


def build(directory: Path) -> Tools:
    """Build what is needed into ``directory``; quick if Go has it in its cache.

    Raises:
        Unavailable: no Go, or no modules.
    """
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise Unavailable("there is no go on this machine")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    deadline = time.monotonic() + _BUILD_SECONDS
    _go(go, ["build", "-buildvcs=false", "-o", str(directory / "ours"), "."], directory, deadline)
    for package in ("cmd/conformance/posix", "internal/hammer"):
        _go(go, ["install", f"{MODULE}/{package}@{VERSION}"], directory, deadline)
    ours = directory / "ours"
    subprocess.run([ours, "keys", "-dir", directory], check=True, timeout=30)
    return Tools(
        directory / "posix",
        directory / "hammer",
        ours,
        directory / "private.key",
        (directory / "public.key").read_text(),
        directory / "log.txt",
    )


def _go(go: str, words: list[str], directory: Path, deadline: float) -> None:
    try:
        done = subprocess.run(
            [go, *words],
            cwd=SOURCE,
            env={**os.environ, "GOBIN": str(directory)},
            capture_output=True,
            text=True,
            check=False,
            timeout=max(deadline - time.monotonic(), 1),
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"go {words[0]} took longer than {_BUILD_SECONDS} s") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise Unavailable(f"go {words[0]} failed: {last[0]}")


# Running -------------------------------------------------------------------------------------


def _over_http(stage: Stage, tools: Tools, setting: Setting) -> float:
    """Entries a second by which the tree on the disk grows under the load tool."""
    load_cores = stage.cores if setting.shares_cores else (stage.load_core,)
    with stage.folder() as folder, _served(stage, tools, setting, folder) as port:
        command = [
            str(tools.hammer), f"-log_public_key={tools.public_key}",
            f"-log_url=http://127.0.0.1:{port}/", f"-num_writers={setting.writers}",
            "-max_write_ops=1000000", "-dup_chance=0", "-show_ui=false", "-max_read_ops=0",
            "-num_readers_random=0", "-num_readers_full=0",
            # What it makes is this many digits, a blank and the entry's number.
            f"-leaf_min_size={RECORD_SIZE - 8}",
        ]  # fmt: skip
        with stage.process(command, *load_cores, log=tools.log):
            return _growth(folder / ".state" / "treeState")


@contextmanager
def _served(stage: Stage, tools: Tools, setting: Setting, folder: Path) -> Iterator[int]:
    """A log's port, once its first checkpoint is published."""
    if setting.batch_size:
        command = [str(tools.ours), "serve", *_flags(tools, setting, folder)]
    else:
        port = _free_port()
        command = [str(tools.example), f"-storage_dir={folder}", f"-listen=127.0.0.1:{port}"]
        command.append(f"-private_key={tools.private_key}")
    cores = stage.cores if setting.shares_cores else (stage.server_core,)
    with stage.process(command, *cores, log=tools.log) as process:
        if setting.batch_size:
            port = read_port(process)
        _await(lambda: _answers(f"http://127.0.0.1:{port}/checkpoint"), "a checkpoint")
        yield port


def _in_process(stage: Stage, tools: Tools, setting: Setting) -> float:
    cores = stage.cores if setting.shares_cores else (stage.server_core,)
    with stage.folder() as folder:
        command = [
            str(tools.ours), "direct", *_flags(tools, setting, folder),
            f"-workers={setting.writers}", f"-entry-bytes={RECORD_SIZE}",
            f"-duration={_WINDOW_SECONDS}s",
        ]  # fmt: skip
        with stage.process(command, *cores, log=tools.log) as process:
            output, _ = process.communicate(timeout=60)
    try:
        return float(output)
    except ValueError:
        raise RuntimeError(f"expected a rate from {command}, found {output!r}") from None


def _flags(tools: Tools, setting: Setting, folder: Path) -> list[str]:
    return [
        f"-dir={folder}",
        f"-key={tools.private_key}",
        f"-batch-size={setting.batch_size}",
        f"-batch-age={setting.batch_age_ms}ms",
    ]


def _growth(tree_state: Path) -> float:
    _await(lambda: _size(tree_state) > 0, "a first entry")
    time.sleep(_WARM_UP_SECONDS)
    first, started = _size(tree_state), time.perf_counter()
    time.sleep(_WINDOW_SECONDS)
    last, seconds = _size(tree_state), time.perf_counter() - started
    if last == first:
        raise RuntimeError(f"expected Tessera's log to grow, found {first} entries all the time")
    return (last - first) / seconds


def _size(tree_state: Path) -> int:
    """Entries in the integrated tree; the file is replaced as a whole."""
    try:
        return int(json.loads(tree_state.read_text())["size"])
    except FileNotFoundError:
        return 0


def _await(is_there: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not is_there():
        if time.monotonic() > deadline:
            raise RuntimeError(f"expected {what} of Tessera within {_START_SECONDS} s")
        time.sleep(0.02)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
