"""After ``prepare`` no batch waits for the compiler, whatever transport it comes by."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import asyncio
import gc
import sys
from pathlib import Path

from numba.core.dispatcher import Dispatcher

from adtally.client.batch_body import Encoding, encode_batch
from adtally.kernel.engine import prepare
from support.application import running_application
from support.world import World


def compiled():
    return {
        (each.py_func.__module__, each.py_func.__name__, str(signature))
        for each in gc.get_objects()
        if isinstance(each, Dispatcher)
        for signature in each.signatures
    }


async def main(directory):
    prepare()
    before = compiled()
    world = World()
    async with running_application(directory) as client:
        for encoding in Encoding:
            body = encode_batch(world.batch([world.event() for _ in range(40)]), encoding)
            headers = {"content-type": encoding.value}
            answer = await client.post("/v1/batches", content=body, headers=headers)
            assert answer.status_code == 200, answer.text
            assert set(answer.json()["verdicts"]) == {"accepted"}
    assert before
    print(sorted(compiled() - before))


asyncio.run(main(Path(sys.argv[1])))
"""


def test_prepare__then_batches_by_each_transport__nothing_left_to_compile(tmp_path: Path) -> None:
    tests = Path(__file__).parents[1]
    paths = f"import sys; sys.path[:0] = [{str(tests)!r}, {str(tests.parent)!r}]"
    ran = subprocess.run(
        [sys.executable, "-c", f"{paths}\n{SCRIPT}", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"
