"""A day of many logs with one escrow each: what it costs, where it stops (docs/SCALING.md)."""
