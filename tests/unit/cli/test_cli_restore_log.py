"""``adtally restore-log`` on a real archive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adtally.cli import app
from adtally.errors import Conflict, VerificationFailed
from adtally.log.store import LogStore
from support.application import DEPLOYMENT
from support.archived_log import archived, local_archive, made_entries, segments, write_log


@pytest.fixture
def url(tmp_path: Path) -> str:
    write_log(tmp_path / "old" / "log", made_entries(11, 30))
    target = tmp_path / "archive"
    archived(tmp_path / "old" / "log", local_archive(target), DEPLOYMENT.log_origin)
    return f"file://{target}"


def restore(url: str, data_dir: Path, *more: str) -> str:
    arguments = ["restore-log", "--from", url, "--data-dir", str(data_dir), *more]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    if result.exception is not None:
        raise result.exception
    return " ".join(result.output.split())


def test_restore_log__fresh_folder__says_up_to_which_entry(url: str, tmp_path: Path) -> None:
    (tmp_path / "new" / "snapshots").mkdir(parents=True)
    output = restore(url, tmp_path / "new")
    assert "Remove before the start, they are of the lost log: snapshots" in output
    with LogStore.open(tmp_path / "new" / "log") as store:
        assert f"restored {store.size} entries of {DEPLOYMENT.log_origin}" in output
        assert f"segment-{store.size:016d}.log" in output
    assert segments(tmp_path / "archive").items() <= segments(tmp_path / "new" / "log").items()


def test_restore_log__deployment_of_another_log__refused(url: str, tmp_path: Path) -> None:
    other = tmp_path / "new" / "deployment.json"
    other.parent.mkdir()
    replace(DEPLOYMENT, chain_id=DEPLOYMENT.chain_id + 1).save(other)
    with pytest.raises(VerificationFailed, match="another log"):
        restore(url, tmp_path / "new")
    DEPLOYMENT.save(tmp_path / "right.json")
    restore(url, tmp_path / "new", "--deployment", str(tmp_path / "right.json"))


def test_restore_log__log_in_place__refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(Conflict):
        restore(url, tmp_path / "old")
