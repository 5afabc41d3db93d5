"""What ``adtally audit`` shows and writes, and how it ends."""

from __future__ import annotations

import io
import json
import re
from html import unescape
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from adtally.audit.audit import CHECKS
from adtally.audit.report import AuditReport
from adtally.chain.deployment import DeployedToken
from adtally.cli import app
from adtally.commands.audit_inputs import read_copies, read_receipts
from adtally.commands.audit_page import amount_text, audit_page, share_text
from adtally.commands.audit_progress import AuditProgress
from adtally.commands.audit_table import show_report
from adtally.commands.audit_words import MEANINGS
from adtally.errors import InvalidInput, VerificationFailed
from adtally.log.checkpoint import NoteSigner
from support.audit_scene import SIGNER, honest_scene
from support.world import TOKEN

TOKENS = {"0x" + TOKEN.hex(): ("USDX", DeployedToken(TOKEN, 6))}
SUBJECT = [("Log", "https://log.example"), ("Chain", "http://<node>")]


async def wrong_report() -> AuditReport:
    scene = honest_scene()
    scene.chain.emit(70, "Funded", [1, b"\1" * 20], [5, 10**12 + 4])
    return await scene.audit()


def page_text(page: str) -> str:
    """What a person reads."""
    return unescape(" ".join(re.sub(r"<[^>]*>", " ", page.split("</style>")[1]).split()))


@pytest.mark.asyncio
async def test_page__honest__verdict_money_and_verdicts() -> None:
    text = page_text(audit_page(await honest_scene().audit(), SUBJECT, TOKENS))
    assert text.startswith("Audit of an advertising log Everything agrees")
    assert "Paid in" in text
    assert "1,000,000.00 USDX" in text
    assert "placement not allowed 3 14.2 %" in text
    assert "What is wrong" not in text
    assert "http://<node>" in text


@pytest.mark.asyncio
async def test_page__wrong__says_what_it_means_and_what_to_do() -> None:
    report = await wrong_report()
    text = page_text(audit_page(report, SUBJECT, {}))
    assert "It does not agree" in text
    for each in report.discrepancies:
        assert each.expected in text
        assert MEANINGS[each.check].to_do in text
    assert "base units" in text


@pytest.mark.asyncio
async def test_page__needs_nothing_besides_itself() -> None:
    page = audit_page(await wrong_report(), SUBJECT, TOKENS)
    assert not re.search(r"<(script|link|img|iframe|object)|url\(|@import|(src|href)=", page)
    assert "@media print" in page


def test_words__every_check__has_a_meaning() -> None:
    assert set(MEANINGS) == set(CHECKS)


@pytest.mark.parametrize(
    ("base_units", "text"),
    [
        (0, "0.00 T"),
        (1, "0.000001 T"),
        (1_500_000, "1.50 T"),
        (-1_234_567_000_001, "-1,234,567.000001 T"),
    ],
)
def test_amount__exact_without_floats(base_units: int, text: str) -> None:
    assert amount_text(base_units, ("T", DeployedToken(bytes(20), 6))) == text


def test_amount__token_without_description__base_units() -> None:
    assert amount_text(12_345, None) == "12,345 base units"
    assert amount_text(7, ("T", DeployedToken(bytes(20), 0))) == "7.00 T"
    assert share_text(1, 3) == "33.3 %"
    assert share_text(0, 0) == ""


@pytest.mark.asyncio
async def test_table__wrong__names_check_place_and_both_values() -> None:
    output = io.StringIO()
    show_report(await wrong_report(), Console(file=output, width=120))
    shown = output.getvalue()
    assert "it does not agree" in shown
    assert f"expected {10**12 + 5}" in shown
    assert f"found    {10**12 + 4}" in shown


def test_progress__no_terminal__a_line_now_and_then() -> None:
    output, clock = io.StringIO(), iter([0.0, 0.0, 5.0, 11.0, 12.0])
    with AuditProgress(Console(file=output, width=120), lambda: next(clock)) as progress:
        for done in (0, 500, 1_100, 1_200):
            progress("log", done, 2_200)
    assert output.getvalue() == "entries of the log: 1,100 of 2,200, 100/s, about 11 s left\n"


def test_audit__no_log__could_not_be_done() -> None:
    result = CliRunner().invoke(app, ["audit", "--log", "/no/such/folder"])
    assert result.exit_code == 2


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"receipt": 5}'])
def test_receipts__no_receipt__refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(content)
    with pytest.raises(InvalidInput):
        read_receipts([path])
    with pytest.raises(InvalidInput):
        read_receipts([tmp_path / "none.json"])


@pytest.mark.asyncio
async def test_copies__note_folder_and_report__read(tmp_path: Path) -> None:
    scene = honest_scene()
    (tmp_path / "checkpoint").write_bytes(scene.log.note)
    report = await scene.audit()
    (tmp_path / "report.json").write_text(json.dumps(report.to_json()))
    places = [str(tmp_path), str(tmp_path / "checkpoint"), str(tmp_path / "report.json")]
    copies = await read_copies(places, str(SIGNER.verifier))
    size = len(scene.log.served)
    assert {(each.checkpoint.tree_size, each.checkpoint.root_hash) for each in copies} == {
        (size, scene.root(size))
    }
    other = NoteSigner(SIGNER.name, b"\x0b" * 32)
    with pytest.raises(VerificationFailed):
        await read_copies(places[:1], str(other.verifier))
