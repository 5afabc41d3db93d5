"""Start a local node as a process of its own that survives whoever started it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adtally.chain.node_tools import anvil_binary, node_binary, node_modules
from adtally.errors import ChainUnavailable, Conflict

HOST = "127.0.0.1"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(slots=True)
class LocalNode:
    """A running node. ``stop`` ends it; forgetting it leaves it running."""

    url: str
    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self, *, patience_seconds: float = 10.0) -> None:
        """SIGTERM, then SIGKILL if it does not listen."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience_seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """SIGKILL, as the machine would; waits until it is gone."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether nobody listens on a TCP port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def start_hardhat(project_root: Path, log_path: Path, *, port: int | None = None) -> LocalNode:
    """``hardhat node`` (chain id 31337, automine, no persistence).

    Raises:
        NotFound: Node or the npm parts are not installed.
        Conflict: another node listens on the port.
        ChainUnavailable: it does not come up; its output is in ``log_path``.
    """
    port = port or free_port()
    folder = project_root / "hardhat-local"
    cli = node_modules(project_root) / "hardhat" / "dist" / "src" / "cli.js"
    command = [node_binary(), str(cli), "node", "--hostname", HOST, "--port", str(port)]
    # Hardhat asks for consent and looks for updates on a terminal only; say no all the same.
    quiet = {"CI": "true", "HARDHAT_DISABLE_TELEMETRY_PROMPT": "true", "NO_COLOR": "1"}
    return _start(command, folder, log_path, port, quiet)


def start_anvil(
    project_root: Path,
    log_path: Path,
    *,
    port: int | None = None,
    arguments: Sequence[str] = (),
) -> LocalNode:
    """A plain anvil (chain id 31337, automine), for tests of reorgs; raises as above."""
    port = port or free_port()
    return _start(anvil_command(project_root, port, arguments), project_root, log_path, port, {})


def anvil_command(project_root: Path, port: int, arguments: Sequence[str] = ()) -> list[str]:
    """The command line; history is pruned, else anvil fills the disk under ~/.foundry."""
    return [
        str(anvil_binary(project_root)),
        "--host",
        HOST,
        "--port",
        str(port),
        "--prune-history",
        "256",
        "--quiet",
        *arguments,
    ]


def _start(
    command: Sequence[str],
    folder: Path,
    log_path: Path,
    port: int,
    environment: Mapping[str, str],
) -> LocalNode:
    url = f"http://{HOST}:{port}"
    if answers(url):
        raise Conflict(
            "the port is taken by another node",
            field="port",
            expected=f"nothing at {url}",
            found="a node that answers",
            action="stop it, or choose another port",
        )
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | environment,
            start_new_session=True,
        )
    node = LocalNode(url, process, log_path)
    try:
        wait_until_up(node.url, process, log_path)
    except ChainUnavailable:
        node.kill()
        raise
    return node


def wait_until_up(
    url: str,
    process: subprocess.Popen[bytes],
    log_path: Path,
    *,
    patience_seconds: float = 60.0,
) -> None:
    """Wait for the first answer. Raises ChainUnavailable when the process ends or is silent."""
    deadline = time.monotonic() + patience_seconds
    while True:
        # Another process may hold the port: only an answer of a living child counts.
        ended = process.poll() is not None
        if not ended and answers(url):
            return
        if ended or time.monotonic() > deadline:
            raise ChainUnavailable(
                "the local node did not come up",
                expected=f"an answer at {url} within {patience_seconds:g} s",
                found=f"it ended with code {process.returncode}" if ended else "silence",
                action=f"read {log_path}",
            )
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether a JSON-RPC node answers there."""
    try:
        ask(url, "eth_chainId")
    except ChainUnavailable:
        return False
    return True


def ask(url: str, method: str, *params: object, timeout_seconds: float = 60.0) -> Any:
    """One JSON-RPC call without asyncio, for processes that only mind a node.

    Raises:
        ChainUnavailable: no answer, or an error.
    """
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with _OPENER.open(request, timeout=timeout_seconds) as response:
            answer = json.load(response)
        return answer["result"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ChainUnavailable(
            f"the local node did not answer {method}",
            expected=f"a result from {url}",
            found=str(error),
            action="start the node",
        ) from None
