"""``verdicts.json``: the codes and labels of all verdicts."""

from __future__ import annotations

from typing import Any

from adtally.events.verdict import Verdict


def verdict_vectors() -> dict[str, Any]:
    return {"verdicts": [{"code": int(each), "label": each.label} for each in Verdict]}
