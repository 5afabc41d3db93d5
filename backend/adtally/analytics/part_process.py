"""Makes a large part in a process of its own, whose memory goes with it.

Merging a million rows takes some hundred MiB for seconds, and allocators give it back in pieces or
not at all. The process asks the one that started it for entries and rates over a socket, writes its
draft, and ends. Should its parent be gone, the next question ends it; its draft counts for nothing
until somebody renames it.

    python -m adtally.analytics.part_process DESCRIPTOR
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from adtally.analytics.columns import RatesOf
from adtally.analytics.dataset import Draft, Stock
from adtally.analytics.next_part import EntrySource, next_part
from adtally.analytics.part_file import TEMPORARY_SUFFIX
from adtally.errors import StorageFailed
from adtally.types import Rates

_NICENESS = 10
_END_SECONDS = 10.0


def next_part_apart(stock: Stock, end: int, source: EntrySource, rates: RatesOf) -> Draft | None:
    """As ``next_part``, in another process.

    Raises:
        StorageFailed: the process ended without an answer.
        StorageCorrupt, OSError: as ``next_part``, and what ``source`` and ``rates`` raise.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    connection = Connection(ours.detach())
    is_drafted = False
    try:
        connection.send((stock, end))
        draft = _serve(connection, {"entries": source.entries, "rates": rates})
        is_drafted = True
        return draft
    except (EOFError, BrokenPipeError, ConnectionResetError) as error:
        raise StorageFailed(
            "the process that derives Parquet ended early",
            expected="a part, or an error",
            found=f"exit status {process.poll()}",
            action="if it stays so: is memory short? The system may have killed it",
        ) from error
    finally:
        connection.close()
        _end(process)
        if not is_drafted:
            _delete_leftovers(stock.directory, process.pid)


def _serve(connection: Connection, calls: dict[str, Callable[..., Any]]) -> Draft | None:
    """Answer questions until the draft comes."""
    while True:
        name, arguments = connection.recv()
        if name == "drafted":
            draft: Draft | None = arguments
            return draft
        if name == "failed":
            raise arguments
        connection.send(calls[name](*arguments))


def _end(process: subprocess.Popen[bytes]) -> None:
    """It ends by itself once the connection is closed, unless its disk is stuck."""
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _delete_leftovers(directory: Path, pid: int) -> None:
    """What an ended process has written of a part: tried again and again it would fill the disk."""
    for leftover in directory.glob(f"*.{pid}{TEMPORARY_SUFFIX}"):
        leftover.unlink(missing_ok=True)


class _Parent:
    """In the new process: the log and the rates, as the parent has them."""

    def __init__(self, connection: Connection, size: int) -> None:
        self._connection = connection
        self.size = size

    def entries(self, start: int, end: int) -> list[bytes]:
        entries: list[bytes] = self._ask("entries", start, end)
        return entries

    def rates(self, campaign: int, publisher: int) -> Rates:
        rates: Rates = self._ask("rates", campaign, publisher)
        return rates

    def _ask(self, name: str, *arguments: int) -> Any:
        self._connection.send((name, arguments))
        return self._connection.recv()


def _work(descriptor: int) -> None:
    os.nice(_NICENESS)
    connection = Connection(descriptor)
    try:
        stock, end = connection.recv()
        parent = _Parent(connection, end)
        draft = next_part(stock, end, parent, parent.rates)
    except EOFError:
        return
    except Exception as error:
        connection.send(("failed", error))
    else:
        connection.send(("drafted", draft))


if __name__ == "__main__":
    _work(int(sys.argv[1]))
