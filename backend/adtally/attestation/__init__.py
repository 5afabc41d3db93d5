"""Recompute from public data, compare, sign."""
