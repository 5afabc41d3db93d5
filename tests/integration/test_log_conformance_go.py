"""What a running service and an export publish, read by Go's ``sumdb/tlog`` and ``sumdb/note``.

The client (``tlog_client``) is built on those packages alone. It checks note, tiles, records, bulk
files and cosignatures, and makes proofs from tiles, which must be those that the service answers.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from adtally.commands.export_log import ExportOptions, export_log
from support.cosigned_log import COSIGNERS, ORIGIN, SIZE, cosigned_log

SOURCE = Path(__file__).parent / "tlog_client"
GO = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.slow,
    pytest.mark.skipif(GO is None, reason="there is no go on this machine"),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("go") / "tlogclient"
    assert GO is not None
    build = [GO, "build", "-buildvcs=false", "-o", str(program), "."]
    done = subprocess.run(build, cwd=SOURCE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


async def run(client: Path, log: str, verifier: str, *cosigners: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        str(client), log, verifier, *cosigners,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def proofs_of(address: str, found: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """The service's own proofs for what the client proved."""
    size = found["size"]
    async with httpx.AsyncClient(base_url=f"{address}/v1/log/proofs") as http:
        records = {
            index: (await http.get("inclusion", params={"index": index, "tree_size": size})).json()
            for index in found["proofs"]["records"]
        }
        trees = {
            first: (await http.get("consistency", params={"first": first, "second": size})).json()
            for first in found["proofs"]["trees"]
        }
    return {
        name: {at: [node[2:] for node in each["proof"]] for at, each in documents.items()}
        for name, documents in (("records", records), ("trees", trees))
    }


async def test_go_client__reads_service_and_export__and_finds_the_same(
    client: Path, tmp_path: Path
) -> None:
    async with cosigned_log(tmp_path / "service") as (log, address):
        verifier = str(log.service.note_signer.verifier)
        cosigners = [str(each.verifier) for each in COSIGNERS]
        code, output, errors = await run(client, f"{address}/v1/log", verifier, *cosigners)
        assert code == 0, errors
        found = json.loads(output)
        assert (found["origin"], found["size"], found["records"]) == (ORIGIN, SIZE, SIZE)
        assert found["root"] == log.service.sequencer.tree.root().hex()
        assert found["bulk"] == 1
        assert sorted(found["cosigned"]) == sorted(each.verifier.name for each in COSIGNERS[:2])
        assert found["proofs"] == await proofs_of(address, found)
        copy = tmp_path / "copy"
        await export_log(copy, ExportOptions(address), Console(quiet=True))
    assert await run(client, str(copy), verifier, *cosigners) == (0, output, "")
    for path in (
        "tile/entries/000", "tile/0/100", "tile/1/000", "tile/1/001.p/2", "tile/2/000.p/1",
        "tile/entries/258.p/188", "bulk/000", "checkpoint", "cosigned-checkpoint",
    ):  # fmt: skip
        content = (copy / path).read_bytes()
        changed = bytearray(content)
        # In notes: a digit of the size. Signatures of unknown names would be passed over.
        changed[len(ORIGIN) + 2 if "checkpoint" in path else len(content) // 2] ^= 1
        (copy / path).write_bytes(changed)
        code, output, errors = await run(client, str(copy), verifier, *cosigners)
        assert (code, output) == (1, ""), path
        assert errors, path
        (copy / path).write_bytes(content)
