"""The machine at the newest verified size, at the sizes just before, and at any other.

A refusal costs the entries that were refused, never a replay from the start: the state before
them is a process of its own that has never seen them. A start loads the newest snapshot and
replays what was stored after it, without any download; without a usable snapshot it replays the
whole copy, at the speed of the plain reference (some 40,000 entries a second and core).
"""

from __future__ import annotations

import logging
from pathlib import Path

from adtally.attestation.reference_state import code_version, corrected_indexes
from adtally.attestor.log_copy import LogCopy
from adtally.attestor.machine_hub import Machine, MachineGone, MachineHub
from adtally.errors import StorageCorrupt
from adtally.log.bundle import encode_bundle
from adtally.types import Hash, LogIdentity

logger = logging.getLogger(__name__)

SNAPSHOT_EVERY_ENTRIES = 250_000
_KEPT_SNAPSHOTS = 2
_KEPT_STATES = 2
_SUFFIX = ".state"


class MachineLadder:
    """Machines over one copy of a log.

    Args:
        hub: where their processes say hello.
        copy: the verified entries.
        folder: for snapshots.
    """

    def __init__(
        self,
        hub: MachineHub,
        copy: LogCopy,
        folder: Path,
        identity: LogIdentity,
        escrow_domain: Hash,
        *,
        snapshot_every_entries: int = SNAPSHOT_EVERY_ENTRIES,
    ) -> None:
        self._hub = hub
        self._copy = copy
        self._folder = folder
        self._identity = identity
        self._escrow_domain = escrow_domain
        self._every = snapshot_every_entries
        self._version = code_version()
        self._states: list[Machine] = []
        self.snapshot_size = 0
        """Of the newest snapshot."""
        self.replayed = 0
        """Entries that the last start had to replay."""

    @property
    def head(self) -> Machine:
        """The machine at the newest verified size."""
        return self._states[-1]

    async def open(self) -> None:
        """Bring the machine to the size of the copy."""
        machine = await self._from_snapshot(self._copy.size)
        self.snapshot_size = machine.size
        self.replayed = self._copy.size - machine.size
        await self._replay(machine, self._copy.size)
        self._states.append(machine)

    async def push(self, machine: Machine) -> None:
        """A fork of the head has taken in entries that are stored now: it is the head."""
        self._states.append(machine)
        while len(self._states) > 1 + _KEPT_STATES:
            self._states.pop(0).close()
        if machine.size - self.snapshot_size >= self._every:
            await self.snapshot()

    async def at(self, size: int) -> Machine:
        """The machine at a size that is stored; the caller closes it."""
        for state in reversed(self._states):
            if state.size <= size:
                machine = await state.fork()
                break
        else:
            machine = await self._from_snapshot(size)
        try:
            await self._replay(machine, size)
        except BaseException:
            machine.close()
            raise
        return machine

    async def revive(self) -> None:
        """After a machine's process has ended by itself: build the head again."""
        for state in self._states:
            state.close()
        self._states.clear()
        await self.open()

    async def snapshot(self) -> None:
        """Put the head's state aside; a fork of it writes, so nobody waits in it."""
        size = self.head.size
        if size == self.snapshot_size:
            return
        twin = await self.head.fork()
        try:
            await twin.save(self._folder / f"{size:020d}-{self._version}{_SUFFIX}")
        finally:
            twin.close()
        self.snapshot_size = size
        for path in self._snapshots()[:-_KEPT_SNAPSHOTS]:
            path.unlink(missing_ok=True)

    def _snapshots(self) -> list[Path]:
        if not self._folder.exists():
            return []
        return sorted(path for path in self._folder.iterdir() if path.suffix == _SUFFIX)

    async def _from_snapshot(self, size: int) -> Machine:
        """A machine at the newest snapshot of at most ``size`` entries, or at the beginning."""
        for path in reversed(self._snapshots()):
            taken, _, version = path.stem.partition("-")
            if version != self._version or not taken.isdecimal() or int(taken) > size:
                continue
            machine = await self._hub.start()
            try:
                await machine.begin(self._identity, self._escrow_domain, path)
                assert machine.summary is not None
                if machine.summary.root == self._copy.tree.root(machine.size):
                    return machine
                logger.warning("%s is of another log, and left aside", path)
            except (StorageCorrupt, MachineGone) as error:
                logger.warning("%s is left aside: %s", path, error)
            machine.close()
        machine = await self._hub.start()
        await machine.begin(self._identity, self._escrow_domain)
        return machine

    async def _replay(self, machine: Machine, size: int) -> None:
        for entries in self._copy.pieces(machine.size, size):
            older = older_leaves(self._copy, entries, machine.size)
            await machine.apply(encode_bundle(entries), older)


def older_leaves(copy: LogCopy, entries: list[bytes], first: int) -> dict[int, Hash]:
    """The leaves that corrections among ``entries`` (from index ``first`` on) name."""
    return {index: copy.tree.leaf(index) for index in corrected_indexes(entries) if index < first}
