"""A control database on SQLite, and the same on a throwaway PostgreSQL cluster."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from adtally.storage.database import Database
from adtally.storage.migrations import upgrade

_numbers = count(1)


def _postgresql_bin() -> Path | None:
    """Where the newest server binaries are, None if there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    return Path(on_path).resolve().parent if on_path else None


def _unprivileged() -> dict[str, Any]:
    """Arguments that make a subprocess run as somebody else when we are root (initdb insists)."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL does not run as root, and there is no other user here")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL prefix of a fresh cluster that listens on a Unix socket only."""
    binaries = _postgresql_bin()
    if binaries is None:
        pytest.skip("no PostgreSQL server binaries (initdb) on this machine")
    pytest.importorskip("asyncpg", reason="the postgresql extra is not installed")
    home = Path(tempfile.mkdtemp(prefix="adtally-pg-", dir="/tmp"))
    who = _unprivileged()
    if who:
        os.chown(home, who["user"], who["group"])
    data = home / "data"

    def run(*arguments: str) -> None:
        subprocess.run(
            [str(binaries / arguments[0]), *arguments[1:]],
            check=True,
            cwd=home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **who,
        )

    run("initdb", "-D", str(data), "-U", "adtally", "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories='{home}' -c fsync=off"
    run("pg_ctl", "-D", str(data), "-l", str(home / "log"), "-w", "-o", options, "start")
    try:
        yield f"postgresql+asyncpg://adtally@/{{database}}?host={home}"
    finally:
        run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
        shutil.rmtree(home)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database that does not exist yet (SQLite) or of the cluster's next one."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/control.db"
    prefix: str = request.getfixturevalue("postgresql")
    return prefix.format(database=f"adtally_{next(_numbers)}")


@pytest_asyncio.fixture
async def empty_database(database_url: str) -> AsyncIterator[Database]:
    """An opened database without tables."""
    if database_url.startswith("postgresql"):
        prefix, name = database_url.split("@/")[0], database_url.split("@/")[1].split("?")[0]
        admin = create_async_engine(
            f"{prefix}@/postgres?{database_url.split('?')[1]}", isolation_level="AUTOCOMMIT"
        )
        async with admin.connect() as connection:
            await connection.execute(text(f"CREATE DATABASE {name}"))
        await admin.dispose()
    database = Database(database_url)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def database(empty_database: Database) -> Database:
    """An opened database with the current schema."""
    await upgrade(empty_database)
    return empty_database
