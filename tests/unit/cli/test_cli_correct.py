"""``adtally correct`` against the real application, and what it says when it is refused."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from rich.console import Console
from typer.testing import CliRunner

from adtally.cli import app
from adtally.client.transport import NO_RETRY, Transport
from adtally.commands import correct as command
from adtally.commands.private_keys import write_key
from adtally.errors import Conflict, InvalidInput, NotAllowed, NotFound
from adtally.events.batch import batch_to_wire
from adtally.events.correction import CorrectionReason
from support.application import DEPLOYMENT, running_application
from support.world import ALICE, CAMPAIGN, PLACEMENT, RECEIPT_KEY, World, key_of


@pytest_asyncio.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """The application; the command reaches it instead of a socket."""
    async with running_application(tmp_path / "service") as client:
        reach = httpx.ASGITransport(client._transport.app)  # type: ignore[attr-defined]

        def transport(base_url: str) -> Transport:
            made = Transport(base_url, NO_RETRY)
            made._http = httpx.AsyncClient(base_url=f"{base_url}/v1", transport=reach)
            return made

        monkeypatch.setattr(command, "Transport", transport)
        yield client


def options(tmp_path: Path, index: int, change: int, key: bytes = RECEIPT_KEY):  # type: ignore[no-untyped-def]
    deployment, key_file = tmp_path / "deployment.json", tmp_path / f"{key.hex()[:8]}.key"
    if not deployment.exists():
        DEPLOYMENT.save(deployment)
    if not key_file.exists():
        write_key(key_file, key)
    return command.CorrectOptions(
        "http://service", deployment, key_file, index, change, CorrectionReason.MAKE_GOOD, "outage"
    )


@pytest.mark.asyncio
async def test_correct__make_good__says_where_it_stands_and_only_once(
    api: httpx.AsyncClient, tmp_path: Path
) -> None:
    world = World()
    body = batch_to_wire(world.batch([world.event(placement=PLACEMENT + 1)]))
    headers = {"content-type": "application/vnd.adtally.batch"}
    receipt = (await api.post("/v1/batches", content=body, headers=headers)).json()["receipt"]
    index = receipt["first_index"] + 1
    with pytest.raises(NotAllowed):
        await command.correct(options(tmp_path, index, 1, key_of(ALICE)), Console())
    output = io.StringIO()
    await command.correct(options(tmp_path, index, 1), Console(file=output, width=200))
    assert output.getvalue() == (
        f"record {index} is counted by the correction at index {index + 1}; the next statement "
        "contains it\n"
    )
    with pytest.raises(Conflict, match=f"stands already at index {index + 1}"):
        await command.correct(options(tmp_path, index, 1), Console())
    listed = (await api.get("/v1/corrections", params={"campaign": CAMPAIGN})).json()
    assert [row["detail"] for row in listed["corrections"]] == ["outage"]
    with pytest.raises(NotFound):
        await command.correct(options(tmp_path, 10**9, 1), Console())
    with pytest.raises(InvalidInput):
        await command.correct(options(tmp_path, index, 0), Console())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--index", "3", "--change", "-1", "--reason", "bots"], "late_sivt"),
        (["--index", "3", "--change", "-2", "--reason", "other"], "--change"),
        (["--index", "-1", "--change", "1", "--reason", "other"], "--index"),
        (["--change", "1", "--reason", "other"], "--index"),
    ],
)
def test_correct__wrong_arguments__named(arguments: list[str], named: str) -> None:
    done = CliRunner().invoke(app, ["correct", *arguments], env={"COLUMNS": "120"})
    assert done.exit_code != 0
    assert named in done.output + str(getattr(done.exception, "expected", ""))
