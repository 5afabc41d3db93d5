"""An attestor's state at one size of the log: the plain reference machine and the tree's root.

It is the same ``LogMachine`` with ``PlainEngine`` that defines what the log means; nothing faster
stands in for it. A snapshot is that machine as it is in memory, put aside so that a start need not
replay the log. It is this attestor's own result, written where only it writes; who doubts it
deletes it, and the machine is built from the stored entries again.
"""

from __future__ import annotations

import gc
import hashlib
import io
import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adtally
from adtally.attestation.judgement import Computed
from adtally.errors import InvalidInput, StorageCorrupt, VerificationFailed
from adtally.events.correction import CORRECTION_KIND, Correction
from adtally.log.compact_range import CompactRange
from adtally.rfc9162 import leaf_hash
from adtally.settlement.machine import LogMachine
from adtally.types import Hash, Line, LogIdentity
from adtally.verification.rule_set import RuleSet

_STATE_ROOMS = ("events", "verification", "settlement")
_ALLOWED_MODULES = (*(f"adtally.{room}" for room in _STATE_ROOMS), "adtally.types", "adtally.log")
_BOUND_METHODS = ("knows", "take")
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Summary:
    """Where a state stands.

    Attributes:
        is_complete: the entries do not end inside a batch or a range of facts.
        facts_block: last chain block whose facts are in the log.
        rules: in force.
        campaigns: the funded ones' ids.
    """

    size: int
    root: Hash
    is_complete: bool
    last_received_at_ms: int
    facts_block: int | None
    rules: RuleSet | None
    campaigns: tuple[int, ...]


class ReferenceState:
    """Takes in entries and answers for what they mean.

    Args:
        identity: of the log.
        escrow_domain: EIP-712 domain separator of the escrow.
    """

    def __init__(self, identity: LogIdentity, escrow_domain: Hash) -> None:
        self._machine = LogMachine(identity, escrow_domain)
        self._range = CompactRange()

    def apply(self, entries: Sequence[bytes], older_leaves: Mapping[int, Hash]) -> None:
        """Take in the next entries. After an error the state is of no use any more.

        Args:
            older_leaves: leaf hashes of earlier entries that corrections among these name.

        Raises:
            AdtallyError: they could not have been logged so; says which entry and why.
        """
        self._machine.leaves = _Leaves(self._machine.size, entries, older_leaves)
        try:
            for entry in entries:
                self._machine.apply(entry)
        finally:
            self._machine.leaves = None
        self._range.append(entries)

    def summary(self) -> Summary:
        """Where it stands now."""
        machine = self._machine
        try:
            machine.require_complete()
            is_complete = True
        except VerificationFailed:
            is_complete = False
        return Summary(
            machine.size,
            self._range.root(),
            is_complete,
            machine.last_received_at_ms,
            machine.facts.last_block,
            machine.rules,
            tuple(
                number
                for number, campaign in sorted(machine.facts.campaigns.items())
                if campaign.funded_base_units > 0
            ),
        )

    def computed(
        self, campaign: int, sequence: int, *, is_final: bool
    ) -> tuple[Computed, list[Line]]:
        """What the campaign owes over everything taken in.

        Raises:
            VerificationFailed: the entries end inside a batch.
        """
        statement, lines = self._machine.statement(campaign, sequence, is_final=is_final)
        may_be_final = self._machine.may_be_final(campaign)
        return Computed(statement, may_be_final, self._machine.last_received_at_ms), lines

    # Snapshots ---------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """Everything, for ``load``."""
        state = pickle.dumps((self._machine, self._range), protocol=5)
        return hashlib.sha256(state).digest() + state

    @staticmethod
    def load(data: bytes) -> ReferenceState:
        """The state that ``dump`` wrote.

        Raises:
            StorageCorrupt: it is damaged, or holds what no state holds.
        """
        digest, state = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(state).digest() != digest:
            raise _damaged("its SHA-256", "another")
        try:
            machine, leaves = _StateUnpickler(io.BytesIO(state)).load()
        except Exception as error:
            raise _damaged("a state of this version", repr(error)) from None
        if not isinstance(machine, LogMachine) or not isinstance(leaves, CompactRange):
            raise _damaged("a machine and a tree", "something else")
        if machine.size != leaves.size:
            raise _damaged(f"{machine.size} leaves", str(leaves.size))
        loaded = object.__new__(ReferenceState)
        loaded._machine, loaded._range = machine, leaves
        return loaded


def corrected_indexes(entries: Iterable[bytes]) -> list[int]:
    """The leaf indexes that corrections among the entries name."""
    indexes = []
    for entry in entries:
        if entry[:1] == bytes((CORRECTION_KIND,)):
            try:
                indexes.append(Correction.from_entry(entry).index)
            except InvalidInput:
                continue  # The machine says what is wrong with it.
    return indexes


def code_version() -> str:
    """Names the code that makes states: a snapshot of other code is not taken."""
    folder = Path(adtally.__file__).parent
    digest = hashlib.sha256(adtally.__version__.encode())
    for room in _STATE_ROOMS:
        for path in sorted(folder.joinpath(room).glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    for name in ("log/compact_range.py", "types.py"):
        digest.update(folder.joinpath(name).read_bytes())
    return digest.hexdigest()[:16]


def freeze_memory() -> None:
    """Keep the collector from touching what stands: forked processes share it until written."""
    gc.collect()
    gc.freeze()


class _Leaves:
    """Leaf hashes as corrections ask for them: of the entries being applied, and of older ones."""

    def __init__(self, first: int, entries: Sequence[bytes], older: Mapping[int, Hash]) -> None:
        self._first = first
        self._entries = entries
        self._older = older

    @property
    def size(self) -> int:
        return self._first + len(self._entries)

    def leaf(self, index: int) -> Hash:
        if index >= self._first:
            return leaf_hash(self._entries[index - self._first])
        return self._older.get(index, b"")


class _StateUnpickler(pickle.Unpickler):
    """Makes nothing but the classes that states consist of: a file is data, never a program."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("builtins", "getattr"):
            return _bound_method
        found = None
        if any(module == room or module.startswith(f"{room}.") for room in _ALLOWED_MODULES):
            found = super().find_class(module, name)
        elif (module, name) in (("builtins", "set"), ("builtins", "frozenset")):
            return set if name == "set" else frozenset
        if not isinstance(found, type):
            raise pickle.UnpicklingError(f"a state holds no {module}.{name}")
        return found


def _bound_method(owner: Any, name: str) -> Any:
    if name not in _BOUND_METHODS:
        raise pickle.UnpicklingError(f"a state holds no method {name}")
    return getattr(owner, name)


def _damaged(expected: str, found: str) -> StorageCorrupt:
    return StorageCorrupt(
        "a snapshot can't be used",
        expected=expected,
        found=found,
        action="delete it; the machine is built from the stored entries",
    )
