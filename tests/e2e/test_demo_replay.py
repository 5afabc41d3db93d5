"""A log replayed into one folder twice: paid to the unit once, and nothing more."""

from __future__ import annotations

import io
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from adtally.demo.replay import RATES, ReplayOutcome, expected_amount, replay
from adtally.errors import Conflict
from adtally.events.verdict import Verdict

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.chain]

DATA = Path(os.environ.get("ADTALLY_EVAL_DATA", "../shared/data")) / "obd" / "random_men.csv.gz"
ROWS = 700
CLICKED_EVERY = 50


def small_log(path: Path, rows: int = ROWS) -> Path:
    """A day of the dataset's form."""
    rng = random.Random(5)
    moment = datetime(2019, 11, 24, tzinfo=UTC)
    lines = [",timestamp,item_id,position,click,propensity_score"]
    for number in range(rows):
        moment += timedelta(seconds=rng.randint(1, 100))
        click = int(number % CLICKED_EVERY == 0)
        item, position = rng.randrange(34), rng.randint(1, 3)
        lines.append(f"{number},{moment.isoformat()},{item},{position},{click},0.03")
    path.write_text("\n".join(lines) + "\n")
    return path


def quiet() -> Console:
    return Console(file=io.StringIO())


def paid(result: ReplayOutcome) -> int:
    return result.outcome.money[0].paid_base_units


@pytest.mark.asyncio
async def test_replay__same_file_twice__pays_to_the_unit_once(tmp_path: Path) -> None:
    log = small_log(tmp_path / "log.csv")
    first = await replay(log, tmp_path / "data", quiet())
    clicks = ROWS // CLICKED_EVERY
    assert first.outcome.tally.verdicts == {Verdict.ACCEPTED: ROWS + clicks}
    owed = (ROWS * RATES.per_mille_impressions + clicks * RATES.per_click * 1000) // 1000
    assert paid(first) == owed == expected_amount(first.summary)
    again = await replay(log, tmp_path / "data", quiet())
    assert again.outcome.tally.events_sent == ROWS + clicks
    assert Verdict.ACCEPTED not in again.outcome.tally.verdicts
    assert paid(again) == again.paid_before_base_units == owed
    assert again.outcome.payments == first.outcome.payments
    other = small_log(tmp_path / "other.csv", rows=3)
    with pytest.raises(Conflict):
        await replay(other, tmp_path / "data", quiet())


@pytest.mark.asyncio
@pytest.mark.skipif(not DATA.exists(), reason=f"no evaluation data at {DATA}")
async def test_replay__random_men__settles_every_impression_and_click(tmp_path: Path) -> None:
    result = await replay(DATA, tmp_path, quiet())
    assert (result.summary.rows, result.summary.clicks) == (10_000, 46)
    assert result.outcome.tally.verdicts == {Verdict.ACCEPTED: 10_046}
    assert paid(result) == 41_100_000
