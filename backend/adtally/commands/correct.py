"""``adtally correct``: take an event back, or make one good."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from adtally.chain.deployment import Deployment
from adtally.client.corrections import send_correction
from adtally.client.service_facts import ServiceFacts
from adtally.client.transport import Transport
from adtally.commands.private_keys import read_key
from adtally.errors import InvalidInput
from adtally.events.correction import REASON_BY_LABEL, CorrectionReason


@dataclass(frozen=True, slots=True)
class CorrectOptions:
    """What to correct, and with which key; ``index`` is the record's leaf index."""

    service: str
    deployment: Path
    key_file: Path
    index: int
    change: int
    reason: CorrectionReason
    detail: str


def parse_reason(label: str) -> CorrectionReason:
    """A reason by its label; raises InvalidInput on any other text."""
    reason = REASON_BY_LABEL.get(label)
    if reason is None:
        raise InvalidInput(
            "no such reason",
            field="--reason",
            expected="one of " + ", ".join(REASON_BY_LABEL),
            found=repr(label)[:80],
        )
    return reason


async def correct(options: CorrectOptions, console: Console) -> None:
    """Sign, send, and tell where the correction stands."""
    # From the file, not from the service: the signature must be good for this log only.
    deployment = Deployment.load(options.deployment)
    facts = ServiceFacts.from_json(deployment.to_json())
    key = read_key(options.key_file)
    async with Transport(options.service) as transport:
        answer = await send_correction(
            transport,
            facts,
            key,
            index=options.index,
            change=options.change,
            reason=options.reason,
            detail=options.detail,
        )
    done = "taken back" if options.change < 0 else "counted"
    console.print(
        f"record {options.index} is {done} by the correction at index {answer.index}; the next "
        "statement contains it"
    )
