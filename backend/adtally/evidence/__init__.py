"""Finds what a proof bundle needs in log, books and chain, and puts it together."""
