"""From the operator's signed order to a correction's entry: who may, about what, and only once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adtally.errors import Conflict, NotAllowed, NotFound, Overloaded, VerificationFailed
from adtally.events.correction import Correction, CorrectionOrder
from adtally.events.eip712 import log_domain
from adtally.events.record import RECORD_KIND
from adtally.intake.sequencer import Sequencer
from adtally.settlement.machine import LogMachine
from adtally.types import Role


@dataclass(frozen=True, slots=True)
class Entered:
    """Where a correction stands: its leaf index, and the log's size once it was durable."""

    index: int
    tree_size: int


async def enter_correction(
    sequencer: Sequencer, operator_member: int, order: CorrectionOrder
) -> Entered:
    """Log a correction; returns after its bytes are on disk.

    Raises:
        NotAllowed: the signer is not the operator's event key.
        VerificationFailed: the signature does not verify.
        NotFound: there is no such record.
        Conflict: the correction stands already, or the rules do not allow it now.
        InvalidInput: the order's fields can't stand in an entry.
    """
    order.verify_signature(log_domain(sequencer.machine.identity))
    index = 0

    def make(recorded_at_ms: int) -> Sequence[Correction]:
        nonlocal index
        # In the writer, so that nothing comes between these looks and the entry.
        machine = sequencer.machine
        _require_operator(machine, operator_member, order, recorded_at_ms)
        record = _record(sequencer, order.index)
        _require_new(machine, sequencer.store.size, sequencer.store.entry, order)
        index = machine.size
        return [
            Correction(
                recorded_at_ms, order.index, order.change, order.reason, record, order.detail
            )
        ]

    try:
        tree_size = await sequencer.enter_facts(make)
    except VerificationFailed as error:
        # The signature was good: what is wrong is the state of the log.
        raise Conflict(
            error.message,
            field=error.field,
            expected=error.expected,
            found=error.found,
            action=error.action,
        ) from error
    return Entered(index, tree_size)


def _require_operator(
    machine: LogMachine, operator_member: int, order: CorrectionOrder, now_ms: int
) -> None:
    operator = machine.facts.members.get(operator_member)
    if (
        operator is None
        or not operator.has_role(Role.OPERATOR)
        or not operator.accepts_key(order.signer, now_ms)
    ):
        raise NotAllowed(
            "only the operator enters corrections",
            field="signer",
            expected="the operator's registered event key"
            if operator is None
            else f"0x{operator.event_key.hex()}",
            found=f"0x{order.signer.hex()}",
            action="sign with the operator's event key (receipt.key)",
        )


def _record(sequencer: Sequencer, index: int) -> bytes:
    size = sequencer.store.size
    entry = sequencer.store.entry(index) if index < size else b""
    if entry[:1] != bytes((RECORD_KIND,)):
        raise NotFound(
            "there is no record at this index",
            field="index",
            expected=f"the leaf index of a record, less than {size}",
            found=f"an entry of kind 0x{entry[0]:02x}" if entry else str(index),
            action="a receipt names the first index of its batch; its records follow it",
        )
    return entry


def _require_new(
    machine: LogMachine, size: int, entry: Callable[[int], bytes], order: CorrectionOrder
) -> None:
    """The same order is taken once for ever: it would otherwise do again when sent again by
    anyone, after its opposite.
    """
    before = machine.corrections.of_record(order.index)
    if before and before[-1] >= size:
        raise Overloaded("a correction of this record is being written")
    for at in reversed(before):
        earlier = Correction.from_entry(entry(at))
        stands = at == before[-1] and earlier.change == order.change
        if stands or order.says(earlier):
            raise Conflict(
                f"the correction stands already at index {at}"
                if stands
                else f"this very correction was entered at index {at} and has been reversed since",
                field="index",
                expected="a correction that was not entered yet",
                found=f"{earlier.change:+d} ({earlier.reason.label}) at index {at}",
                action="nothing has to be done"
                if stands
                else "say in the detail why it is made again",
            )
