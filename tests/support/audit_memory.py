"""States of audits in a dictionary, for tests that go on from one audit to the next."""

from __future__ import annotations


class DictMemory:
    """An ``AuditMemory``."""

    def __init__(self) -> None:
        self.states: dict[int, bytes] = {}

    def sizes(self) -> list[int]:
        return sorted(self.states, reverse=True)

    def read(self, size: int) -> bytes:
        return self.states[size]

    def write(self, size: int, state: bytes) -> None:
        self.states[size] = state

    def drop(self, size: int) -> None:
        del self.states[size]
