"""adtally without a chain, for bench and tests: facts made by hand, the real application."""
