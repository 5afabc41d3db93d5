"""A machine's state as fields and arrays, and a machine from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from adtally.columns.hashing import PLAIN_HASHING, Hashing
from adtally.columns.machine import ColumnMachine
from adtally.columns.state_file import State
from adtally.errors import InvalidInput
from adtally.settlement.corrections import Leaves
from adtally.settlement.machine import MachineDump
from adtally.types import Hash, LogIdentity

FORMAT = 1
"""Rises whenever what a state means changes: the rules, what they keep, or its names."""

_ENGINE = "engine."


def state_of(machine: ColumnMachine, escrow_domain: Hash) -> State:
    """What the machine knows, facts included.

    Raises:
        VerificationFailed: the entries so far end within a batch or a range of facts.
    """
    machine.require_complete()
    dump = machine.dump()
    entries = machine.facts_entries
    sequences = np.array(sorted(dump.next_sequence.items()), np.uint64).reshape(-1, 2)
    fields = {
        **_origin(machine.identity, escrow_domain),
        "size": dump.size,
        "last_received_at_ms": dump.last_received_at_ms,
    }
    arrays = {
        "next_sequence": sequences,
        "facts.index": np.array([index for index, _ in entries], np.uint64),
        "facts.length": np.array([len(entry) for _, entry in entries], np.uint64),
        "facts.bytes": np.frombuffer(b"".join(entry for _, entry in entries), np.uint8),
        **{_ENGINE + name: array for name, array in dump.engine.items()},
    }
    return State(fields, arrays)


def machine_from(
    state: State,
    identity: LogIdentity,
    escrow_domain: Hash,
    *,
    leaves: Leaves | None = None,
    hashing: Hashing = PLAIN_HASHING,
) -> ColumnMachine:
    """A machine that knows what ``state_of`` gave.

    Args:
        leaves: of the same log, at least as far as the state's size.

    Raises:
        InvalidInput: the state is of another log or escrow, or of another format.
        VerificationFailed, NotAllowed: its facts are not those of a log.
    """
    for name, expected in _origin(identity, escrow_domain).items():
        found = state.fields.get(name)
        if found != expected:
            raise _unusable(name, str(expected), str(found))
    machine = ColumnMachine(identity, escrow_domain, leaves=leaves, hashing=hashing)
    try:
        dump = MachineDump(
            int(state.fields["size"]),
            int(state.fields["last_received_at_ms"]),
            dict(state.arrays["next_sequence"].tolist()),
            {
                name.removeprefix(_ENGINE): array
                for name, array in state.arrays.items()
                if name.startswith(_ENGINE)
            },
        )
        machine.load(dump, _entries(state))
    except (KeyError, ValueError, TypeError) as error:
        raise _unusable("arrays", "those of a replay", repr(error)) from None
    return machine


def _entries(state: State) -> Sequence[tuple[int, bytes]]:
    packed = state.arrays["facts.bytes"].tobytes()
    ends = np.cumsum(state.arrays["facts.length"]).tolist()
    starts = [0, *ends[:-1]]
    indices = state.arrays["facts.index"].tolist()
    return [(at, packed[a:b]) for at, a, b in zip(indices, starts, ends, strict=False)]


def _origin(identity: LogIdentity, escrow_domain: Hash) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "chain_id": identity.chain_id,
        "event_log": identity.event_log.hex(),
        "escrow_domain": escrow_domain.hex(),
    }


def _unusable(field: str, expected: str, found: str) -> InvalidInput:
    return InvalidInput(
        "the state is not one of this replay",
        field=field,
        expected=expected,
        found=found,
        action="remove it and begin from the start of the log",
    )
