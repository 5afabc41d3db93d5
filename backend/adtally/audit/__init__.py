"""Verify everything from public data; never imports storage."""
