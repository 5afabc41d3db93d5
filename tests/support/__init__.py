"""Shared by tests: small worlds of members, campaigns and events, built from real bytes."""
