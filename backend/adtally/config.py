"""Settings of one service process, from the environment (``ADTALLY_*``)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from adtally.analytics.currencies import FxRate, parse_fx_rates
from adtally.errors import InvalidInput
from adtally.intake.recovery import LogFolders
from adtally.verification.rule_set import RuleSet


def load_settings() -> Settings:
    """The settings in the environment.

    Raises:
        InvalidInput: one of them can't be used; ``field`` names the variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(
            "a setting can't be used",
            field="ADTALLY_" + "_".join(str(part) for part in first["loc"]).upper(),
            expected=first["msg"],
            found=repr(first.get("input")),
        ) from None


class Settings(BaseSettings):
    """Every setting has a default that works on one machine.

    Attributes:
        data_dir: all state of the service: log, control database, keys, Parquet.
        deployment: deployment file written by ``adtally deploy``; default in ``data_dir``.
        rpc_url: JSON-RPC endpoint of the chain.
        database_url: SQLAlchemy URL; default SQLite in ``data_dir``.
        clock: ``virtual`` stands still until ``POST /dev/clock`` moves it (demo, tests, replay).
        rules_file: JSON object overriding single rules (see ``RuleSet``).
        fx_file: JSON list of dated exchange rates for reports, each ``{"base": "EUR", "quote":
            "USD", "rate": "1.08", "day": "2026-11-01", "source": "ECB"}``.
        anchor_every_entries: anchor when this many entries are not anchored yet.
        anchor_every_seconds: anchor new entries at least this often.
        push_minimum_base_units: publishers are paid automatically from this amount on.
        job_tick_seconds: how often each job looks whether there is something to do.
        max_body_bytes: larger request bodies are refused.
        dedupe_memory_bytes: for the ids of events that may still be met; it is used as it fills.
            Some 70 bytes an event; a full one pushes batches back.
        dedupe_ready_bytes: what of it is taken at the start, besides what a snapshot fills, so that
            the next two million events don't wait for the operating system's pages.
        snapshot_every_entries: a start replays at most so much of the log.
        engine: ``plain`` judges by the reference, some ten times slower, should the compiled
            rules ever be doubted.
        derive_every_entries: Parquet is derived in the background whenever so many entries wait;
            0: only when a report asks.
        archive_url: fsspec URL of a folder that sealed segments are copied to; None: nowhere.
        keep_local_segments: how many sealed segments stay on the local disk once they are in the
            archive; None: all.
        public_url: address of the service as browsers reach it, for tags; default: as asked.
        trusted_proxies: how many proxies in front add to ``X-Forwarded-For``; 0 takes the
            address of the connection.
        token_lifetime_seconds: how long after its minting a token counts an impression.
        salt_retention_days: how long the salts of commitments are kept.
        read_access: who may read entries, campaigns and statements: ``public`` everybody,
            ``members`` whoever is registered, ``own`` each its own campaigns (attestors: all).
    """

    model_config = SettingsConfigDict(env_prefix="ADTALLY_")

    data_dir: Path = Path("var")
    deployment: Path | None = None
    rpc_url: str = "http://127.0.0.1:8545"
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    clock: Literal["system", "virtual"] = "system"
    virtual_start_ms: int = 0
    rules_file: Path | None = None
    fx_file: Path | None = None
    anchor_every_entries: int = Field(10_000, ge=1)
    anchor_every_seconds: int = Field(600, ge=1)
    push_minimum_base_units: int = Field(1, ge=1)
    job_tick_seconds: float = Field(1.0, gt=0)
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1024)
    dedupe_memory_bytes: int = Field(2**32, ge=2**24)
    dedupe_ready_bytes: int = Field(2**27, ge=0)
    snapshot_every_entries: int = Field(5_000_000, ge=1)
    engine: Literal["kernel", "plain"] = "kernel"
    derive_every_entries: int = Field(1_048_576, ge=0)
    archive_url: str | None = None
    keep_local_segments: int | None = Field(None, ge=1)
    public_url: str | None = Field(None, pattern="^https?://")
    trusted_proxies: int = Field(0, ge=0, le=16)
    token_lifetime_seconds: int = Field(3600, ge=1, le=86_400)
    salt_retention_days: int = Field(30, ge=1)
    read_access: Literal["public", "members", "own"] = "public"

    @property
    def deployment_path(self) -> Path:
        return self.deployment or self.data_dir / "deployment.json"

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "log"

    @property
    def tree_dir(self) -> Path:
        return self.data_dir / "tree"

    @property
    def snapshots_dir(self) -> Path:
        return self.data_dir / "snapshots"

    @property
    def log_folders(self) -> LogFolders:
        """The log, and what is derived from it; only the compiled rules have snapshots."""
        every = self.snapshot_every_entries if self.engine == "kernel" else None
        return LogFolders(self.log_dir, self.tree_dir, self.snapshots_dir, every)

    @property
    def keys_dir(self) -> Path:
        return self.data_dir / "keys"

    @property
    def salts_dir(self) -> Path:
        return self.data_dir / "salts"

    @property
    def event_ids_dir(self) -> Path:
        return self.data_dir / "event-ids"

    @property
    def parquet_dir(self) -> Path:
        return self.data_dir / "parquet"

    @property
    def archive_cache_dir(self) -> Path:
        return self.data_dir / "archive-cache"

    @property
    def sqlalchemy_url(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'control.sqlite3'}"

    def rule_set(self) -> RuleSet:
        """The rules to enforce: defaults, overridden by ``rules_file``.

        Raises:
            InvalidInput: the file holds an unknown rule or a wrong value.
        """
        if self.rules_file is None:
            return RuleSet()
        return RuleSet.with_overrides(self.rules_file.read_bytes())

    def fx_rates(self) -> list[FxRate]:
        """The exchange rates for reports; none without a file.

        Raises:
            InvalidInput: the file is not of the documented form.
        """
        return [] if self.fx_file is None else parse_fx_rates(self.fx_file.read_bytes())
