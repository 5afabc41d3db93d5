"""Queries, one file a subject. They take a session, return plain rows, and never commit."""
