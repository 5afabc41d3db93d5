"""``build/demo/report.json``: what the run came to, for programs and for the curious."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from adtally.demo.outcome import MoneyOutcome, Outcome, PaymentOutcome, StatementOutcome
from adtally.types import Counts

Json = dict[str, Any]


def report_json(outcome: Outcome) -> Json:
    """The report's envelope, figures, and the demo's own keys.

    The money at the top level sums up the campaigns that are in the first campaign's token;
    ``campaigns`` has each one's.
    """
    main = [money for money in outcome.money if money.unit == outcome.money[0].unit]
    token = outcome.money[0].unit
    return {
        "machine": machine(),
        "commit": commit(),
        "figures": _figures(outcome),
        "events_sent": outcome.tally.events_sent,
        "verdicts": {
            verdict.label: count for verdict, count in sorted(outcome.tally.verdicts.items())
        },
        "refused_batches": {
            kind: dict(codes) for kind, codes in sorted(outcome.tally.refusals.items())
        },
        "refused_events": outcome.tally.refused_events,
        "log": {"tree_size": outcome.tree_size, "root_hash": outcome.root_hash},
        "anchors": [
            {
                "tree_size": anchor.tree_size,
                "root_hash": anchor.root_hash,
                "tx": anchor.transaction,
                "gas": anchor.gas_used,
            }
            for anchor in outcome.anchors
        ],
        "statements": [_statement(statement) for statement in outcome.statements],
        "claims": _payments(outcome, "claim"),
        "cuts": _payments(outcome, "cut"),
        "refunds": _payments(outcome, "refund"),
        "token": token.symbol,
        "token_decimals": token.decimals,
        "funded_base_units": sum(money.funded_base_units for money in main),
        "paid_base_units": sum(money.paid_base_units for money in main),
        "cuts_base_units": sum(money.cuts_base_units for money in main),
        "refunded_base_units": sum(money.refunded_base_units for money in main),
        "escrow_balance_base_units": outcome.escrow_balances[token.symbol],
        "campaigns": [_campaign(money, outcome) for money in outcome.money],
        "receipts": _receipts(outcome),
        "audit": _audit(outcome),
        "seconds": round(outcome.seconds, 2),
    }


def write_report(outcome: Outcome, path: Path) -> None:
    """Write the report; the file is never half there."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(report_json(outcome), indent=2) + "\n")
    temporary.replace(path)


def machine() -> Json:
    """The machine that it ran on."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


def commit() -> str:
    """The checkout's commit, ``unknown`` outside of a repository."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"


def _figures(outcome: Outcome) -> Json:
    tally = outcome.tally
    return {
        "demo.seconds": _figure(
            round(outcome.seconds, 2), "s", "driver start to the last check, installs excluded"
        ),
        "demo.events": _figure(tally.events_sent, "events", "events in batches that were answered"),
        "demo.tree_size": _figure(outcome.tree_size, "entries", "log size at the end"),
        "demo.anchors": _figure(len(outcome.anchors), "anchors", "anchors in final blocks"),
        "demo.statements": _figure(len(outcome.statements), "statements", "settled on chain"),
    }


def _figure(value: float, unit: str, how: str) -> Json:
    return {"value": value, "unit": unit, "how": how}


def _statement(statement: StatementOutcome) -> Json:
    return {
        "campaign": statement.campaign,
        "sequence": statement.sequence,
        "tree_size": statement.tree_size,
        "counts": _counts(statement.counts),
        "lines_total": statement.lines_total_base_units,
        "is_final": statement.is_final,
        "reason": statement.reason,
        "signers": list(statement.signers),
        "tx": statement.transaction,
    }


def _counts(counts: Counts) -> Json:
    return {
        "impressions": counts.impressions,
        "viewables": counts.viewables,
        "clicks": counts.clicks,
        "conversions": counts.conversions,
    }


def _payments(outcome: Outcome, kind: str) -> list[Json]:
    return [_payment(payment, outcome) for payment in outcome.payments if payment.kind == kind]


def _payment(payment: PaymentOutcome, outcome: Outcome) -> Json:
    return {
        "campaign": payment.campaign,
        "member": payment.member,
        "name": outcome.names.get(payment.member),
        "payee": payment.payee,
        "amount": payment.amount_base_units,
        "tx": payment.transaction,
    }


def _campaign(money: MoneyOutcome, outcome: Outcome) -> Json:
    return {
        "campaign": money.campaign,
        "name": outcome.campaign_names[money.campaign],
        "token": money.unit.symbol,
        "token_decimals": money.unit.decimals,
        "funded_base_units": str(money.funded_base_units),
        "paid_base_units": str(money.paid_base_units),
        "cuts_base_units": str(money.cuts_base_units),
        "refunded_base_units": str(money.refunded_base_units),
        "balance_base_units": str(money.balance_base_units),
        "lines": [
            {
                "publisher": line.publisher,
                "name": outcome.names.get(line.publisher),
                "counts": _counts(line.counts),
                "amount_base_units": str(line.amount_base_units),
                "paid_base_units": str(line.paid_base_units),
            }
            for line in money.lines
        ],
    }


def _receipts(outcome: Outcome) -> Json | None:
    if outcome.receipts is None:
        return None
    return {
        "received": outcome.receipts.received,
        "kept": outcome.receipts.kept,
        "anchored_in_time": outcome.receipts.anchored_in_time,
    }


def _audit(outcome: Outcome) -> Json | None:
    if outcome.audit is None:
        return None
    return {
        "ok": outcome.audit.ok,
        "checked": outcome.audit.checked,
        "findings": list(outcome.audit.findings),
    }
