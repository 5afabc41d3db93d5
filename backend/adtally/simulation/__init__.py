"""A seeded simulator of ad traffic, honest and not."""
