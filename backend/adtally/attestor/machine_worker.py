"""The process that holds an attestor's machine; forking it keeps a good state for free.

The reference machine is plain Python dictionaries: copying it would take longer than replaying a
good part of the log. ``os.fork`` copies it in milliseconds, page by page as it is written. So every
run of entries is applied by a fork, and the process before it is kept until the fork is known to
be good. Whatever is wrong with the entries, the good state was never touched.

Each process has one connection to its owner and ends when that is closed. It is single-threaded
and never talks to the network or the disk, but for snapshots.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

from adtally.attestation.reference_state import ReferenceState, Summary, freeze_memory
from adtally.attestor.machine_messages import (
    Apply,
    Begin,
    Compute,
    Fork,
    Hello,
    Message,
    Reply,
    Save,
    receive,
    send,
)
from adtally.chain.files import write_atomically
from adtally.errors import AdtallyError
from adtally.log.bundle import decode_bundle


class Worker:
    """Answers messages one after the other until its connection is closed."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address
        self._state: ReferenceState | None = None
        self._connect(token)

    def _connect(self, token: str) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(self._address)
        send(self._connection, Hello(token, os.getpid()))

    def run(self) -> None:
        """Until the connection is closed."""
        while True:
            try:
                message = receive(self._connection)
            except (EOFError, ConnectionError):
                return
            reply: Reply
            try:
                reply = self._handle(message)
            except AdtallyError as error:
                reply = error
            try:
                send(self._connection, reply)
            except ConnectionError:
                return

    def _handle(self, message: Message) -> Reply:
        if isinstance(message, Begin):
            return self._begin(message)
        assert self._state is not None, "the first message begins"
        match message:
            case Apply(bundle, older_leaves):
                self._state.apply(decode_bundle(bundle), older_leaves)
                return self._state.summary()
            case Fork(token):
                self._fork(token)
                return None
            case Compute(campaign, sequence, is_final):
                return self._state.computed(campaign, sequence, is_final=is_final)
            case Save(path):
                write_atomically(path, self._state.dump())
                return None

    def _begin(self, message: Begin) -> Summary:
        if message.snapshot is None:
            self._state = ReferenceState(message.identity, message.escrow_domain)
        else:
            self._state = ReferenceState.load(message.snapshot.read_bytes())
        return self._state.summary()

    def _fork(self, token: str) -> None:
        freeze_memory()
        if os.fork() == 0:
            # The answer to the old connection is the parent's.
            self._connection.close()
            self._connect(token)
            self.run()
            os._exit(0)


def main() -> None:
    """``python -m adtally.attestor.machine_worker SOCKET TOKEN``."""
    # Ctrl-C is for the owner, who closes the connection; forks are reaped by the system.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    Worker(sys.argv[1], sys.argv[2]).run()


if __name__ == "__main__":
    main()
