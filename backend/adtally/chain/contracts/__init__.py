"""Thin wrappers, one per contract: pinned reads, call builders, event decoding."""
