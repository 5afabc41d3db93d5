"""Single hits: tokens checked, batched, signed by the collector, answered from their verdicts."""
