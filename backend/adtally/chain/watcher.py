"""Block watcher. (The store's protocol: ``adtally.chain.ports``.)"""

from __future__ import annotations

from adtally.chain.ports import WatcherStore

__all__ = ["WatcherStore"]
