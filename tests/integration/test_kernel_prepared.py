"""Nothing is left to be compiled once the service serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own: other tests have compiled more than ``prepare`` does.
_PROGRAM = """
import asyncio
import sys
import tempfile
from pathlib import Path

import httpx
from numba.core.dispatcher import Dispatcher
from scripts.bench.load import Traffic
from scripts.chainless.world import world_facts
from scripts.chainless.application import open_application

from adtally.client.batch_body import Encoding, encode_batch
from adtally.kernel.engine import prepare


def compiled():
    return {
        (module, name): {str(signature) for signature in function.signatures}
        for module, its in sys.modules.items()
        if module.startswith("adtally.kernel")
        for name, function in vars(its).items()
        if isinstance(function, Dispatcher)
    }


async def send(directory):
    traffic = Traffic()
    async with open_application(directory, world_facts, max_body_bytes=2**24) as application:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            for encoding in Encoding:
                for events in (1, 40):
                    (batch,) = traffic.batches(10, 1, events)
                    answer = await client.post(
                        "/v1/batches",
                        content=encode_batch(batch, encoding),
                        headers={"content-type": encoding.value},
                    )
                    assert answer.status_code == 200, answer.text


prepare()
before = compiled()
with tempfile.TemporaryDirectory() as directory:
    asyncio.run(send(Path(directory)))
later = {".".join(each): found - before[each] for each, found in compiled().items()}
later = {name: found for name, found in later.items() if found}
assert not later, f"compiled while batches waited: {later}"
"""


def test_prepare__batches_of_every_kind__compile_nothing_more() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
