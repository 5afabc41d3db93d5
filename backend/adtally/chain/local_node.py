"""A local chain whose state survives: anvil, minded by a supervisor that dumps its state.

``python -m adtally.chain.local_node --root CHECKOUT --state FOLDER --port PORT`` starts anvil
from the last dump and, whenever the newest block has changed, asks for the state, writes it
beside (temporary file, fsync, rename) and then names the block in ``marker.json``. A block is
final (finality "dumped") once the marker has it, because any later start contains it. anvil's
own ``--state`` rewrites its file in place, so a kill can destroy it.

Whatever is killed with -9, the next supervisor puts it right: a running anvil is taken over, a
dead one is started from the dump.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from adtally.chain.files import write_atomically
from adtally.chain.finality import DumpMarker, Finality, FinalityKind, read_marker
from adtally.chain.local_process import (
    HOST,
    LocalNode,
    answers,
    anvil_command,
    ask,
    start_anvil,
    start_hardhat,
    wait_until_up,
)
from adtally.errors import AdtallyError, ChainUnavailable, Conflict, ForeignChain

__all__ = [
    "LocalNode",
    "Supervisor",
    "dumped_finality",
    "start_anvil",
    "start_hardhat",
    "start_persistent",
    "stop_persistent",
]

POLL_SECONDS = 0.1
MAX_PAUSE_SECONDS = 30.0
_STATE = "state.json"
_MARKER = "marker.json"
_PID = "supervisor.pid"
_LOCK = "supervisor.lock"
_LOG = "node.log"
_CACHE = "anvil-cache"


def dumped_finality(state: Path) -> Finality:
    """The finality policy of a chain kept in this folder."""
    return Finality(FinalityKind.DUMPED, marker=state / _MARKER)


def start_persistent(project_root: Path, state: Path, port: int) -> str:
    """Start the supervisor in a session of its own, unless one minds this folder already.

    Returns:
        The node's URL. The chain goes on when the caller ends; ``stop_persistent`` stops it.

    Raises:
        ChainUnavailable: it does not come up; its output is in ``state``/node.log.
    """
    state = state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    url = f"http://{HOST}:{port}"
    log_path = state / _LOG
    command = [sys.executable, "-m", "adtally.chain.local_node"]
    command += ["--root", str(project_root), "--state", str(state), "--port", str(port)]
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        code = process.poll()
        if code == Supervisor.ALREADY_MINDED or _read_pid(state) == process.pid:
            process.returncode = code or 0  # it is on its own from here; never wait for it
            return url
        if code is not None:
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise ChainUnavailable(
        "the local chain did not come up",
        expected=f"an answer at {url}",
        found="silence" if process.returncode < 0 else f"exit code {process.returncode}",
        action=f"read {log_path}",
    )


def stop_persistent(state: Path, *, patience_seconds: float = 30.0) -> bool:
    """Let the supervisor dump once more and end anvil; False if none minds the folder.

    Raises:
        ChainUnavailable: it does not end in time.
    """
    deadline = time.monotonic() + patience_seconds
    was_minded = False
    while _is_minded(state):
        pid = _read_pid(state)
        if pid is not None and not was_minded:
            os.kill(pid, signal.SIGTERM)
            was_minded = True
        if time.monotonic() > deadline:
            raise ChainUnavailable(
                "the local chain's supervisor does not stop",
                expected=f"its end within {patience_seconds:g} s",
                found=f"process {pid} holds {state / _LOCK}",
                action=f"read {state / _LOG}; kill -9 {pid} is safe, the chain is kept",
            )
        time.sleep(0.02)
    return was_minded


def pause_seconds(dump_seconds: float) -> float:
    """How long to wait after a dump that took so long.

    A dump holds the whole chain and grows with it: it gets a fifth of the time. But a machine that
    was suspended during a dump must not be without final blocks for hours.
    """
    return min(max(POLL_SECONDS, 4 * dump_seconds), MAX_PAUSE_SECONDS)


def _is_minded(state: Path) -> bool:
    try:
        with (state / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _read_pid(state: Path) -> int | None:
    try:
        return int((state / _PID).read_text())
    except (OSError, ValueError):
        return None


class Supervisor:
    """Minds one anvil and its state folder."""

    ALREADY_MINDED = 3
    """Exit code when another supervisor holds the folder: nothing to do."""

    def __init__(self, project_root: Path, state: Path, port: int) -> None:
        self._root = project_root
        self._state = state
        self._port = port
        self._url = f"http://{HOST}:{port}"
        self._pid: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._dumped: str | None = None
        self._stopping = False

    def run(self) -> int:
        """Until SIGTERM or SIGINT, or until anvil ends by itself; an exit code."""
        self._state.mkdir(parents=True, exist_ok=True)
        with (self._state / _LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return self.ALREADY_MINDED
            signal.signal(signal.SIGTERM, self._stop)
            signal.signal(signal.SIGINT, self._stop)
            if not self._take_over():
                self._start()
            write_atomically(self._state / _PID, f"{os.getpid()}\n".encode())
            try:
                return self._mind()
            finally:
                (self._state / _PID).unlink(missing_ok=True)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _take_over(self) -> bool:
        """Adopt the anvil that a killed supervisor left running."""
        self._pid = _find_anvil(self._state / _CACHE)
        if self._pid is None:
            if answers(self._url):
                raise Conflict(
                    "the port is taken by something else",
                    field="port",
                    expected=f"nothing, or our own anvil, at {self._url}",
                    found="another node",
                    action="stop it, or choose another port",
                )
            return False
        deadline = time.monotonic() + 10.0
        while self._is_alive() and not answers(self._url) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not answers(self._url):
            # Started for another port, or stuck: the dump has all that was called final.
            self._end_anvil()
            return False
        self._check_marker()
        return True

    def _start(self) -> None:
        dump = self._state / _STATE
        arguments = ["--cache-path", str(self._state / _CACHE)]
        arguments += ["--load-state", str(dump)] if dump.exists() else []
        command = anvil_command(self._root, self._port, arguments)
        # Its own session: Ctrl-C at a terminal must not end anvil before the last dump.
        self._child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, cwd=self._state, start_new_session=True
        )
        self._pid = self._child.pid
        try:
            wait_until_up(self._url, self._child, self._state / _LOG)
            self._check_marker()
        except AdtallyError:
            self._end_anvil()
            raise

    def _check_marker(self) -> None:
        """What was called final must be there."""
        marker = read_marker(self._state / _MARKER)
        if marker is None:
            return
        block = ask(self._url, "eth_getBlockByNumber", hex(marker.number), False)
        if block is None or block["hash"] != "0x" + marker.hash.hex():
            raise ForeignChain(
                "the state dump lacks a block that was final",
                field=str(self._state / _MARKER),
                expected=f"block {marker.number} 0x{marker.hash.hex()}",
                found="no such block" if block is None else str(block["hash"]),
                action="restore the folder's state.json and marker.json together, or remove the "
                "whole folder and deploy anew",
            )

    def _mind(self) -> int:
        while not self._stopping:
            if not self._is_alive():
                sys.stderr.write("anvil ended by itself\n")
                return 1
            started = time.monotonic()
            self._dump_tolerantly()
            self._pause(pause_seconds(time.monotonic() - started))
        self._dump_tolerantly()
        self._end_anvil()
        return 0

    def _pause(self, seconds: float) -> None:
        """Wait, unless told to stop: Python sleeps on after a signal."""
        until = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < until:
            time.sleep(POLL_SECONDS)

    def _dump_tolerantly(self) -> None:
        try:
            self._dump()
        except ChainUnavailable as error:
            sys.stderr.write(f"{error}\n")

    def _dump(self) -> None:
        """Dump if the newest block has changed. The marker follows the dump, never leads."""
        block = ask(self._url, "eth_getBlockByNumber", "latest", False)
        if block["hash"] == self._dumped:
            return
        packed = bytes.fromhex(ask(self._url, "anvil_dumpState").removeprefix("0x"))
        write_atomically(self._state / _STATE, gzip.decompress(packed))
        # Blocks mined since only add to the dump, unless the newest one was reorganised away.
        again = ask(self._url, "eth_getBlockByNumber", block["number"], False)
        if again is not None and again["hash"] == block["hash"]:
            number, block_hash = int(block["number"], 16), bytes.fromhex(block["hash"][2:])
            marker = DumpMarker(number, block_hash)
            write_atomically(self._state / _MARKER, marker.to_text().encode())
            self._dumped = block["hash"]

    def _is_alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return self._pid is not None and _find_anvil(self._state / _CACHE) == self._pid

    def _end_anvil(self) -> None:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if self._pid is None or not self._is_alive():
                break
            os.kill(self._pid, sign)
            deadline = time.monotonic() + 5.0
            while self._is_alive() and time.monotonic() < deadline:
                time.sleep(0.02)


def _find_anvil(cache: Path) -> int | None:
    """The process that runs anvil with this cache folder: ours, whoever started it."""
    for pid, words in _processes():
        if "anvil" in Path(words[0]).name and str(cache) in words:
            return pid
    return None


def _processes() -> Iterator[tuple[int, list[str]]]:
    """Every process with its command line, from /proc, else from ps."""
    if Path("/proc/self/cmdline").exists():
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):  # it ended meanwhile
                    line = (entry / "cmdline").read_bytes().decode(errors="replace")
                    if line:
                        yield int(entry.name), line.rstrip("\0").split("\0")
        return
    listed = subprocess.run(
        ["ps", "-axo", "pid=,command="], capture_output=True, text=True, check=False
    )
    for row in listed.stdout.splitlines():
        pid, *words = row.split()
        if words:
            yield int(pid), words


def main() -> int:
    """Entry point of the supervisor process."""
    parser = argparse.ArgumentParser(prog="adtally.chain.local_node", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the checkout")
    parser.add_argument("--state", type=Path, required=True, help="folder of dump and marker")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    try:
        return Supervisor(options.root, options.state.resolve(), options.port).run()
    except AdtallyError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
