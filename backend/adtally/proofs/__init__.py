"""Proof bundles: what was logged, counted and paid, in a file that anyone can check. Pure."""
