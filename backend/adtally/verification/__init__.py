"""Rules that turn an event and the facts before it into a verdict; pure and deterministic."""
