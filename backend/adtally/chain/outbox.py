"""Transaction outbox. (Rows and the store's protocol: ``adtally.chain.ports``.)"""

from __future__ import annotations

from adtally.chain.ports import Attempt, NewTransaction, OutboxRow, OutboxState, OutboxStore

__all__ = ["Attempt", "NewTransaction", "OutboxRow", "OutboxState", "OutboxStore"]
