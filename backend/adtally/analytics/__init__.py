"""Metrics over Parquet derived from the log."""
