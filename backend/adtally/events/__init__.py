"""The vocabulary: events, their record bytes, batches, facts and the EIP-712 types."""
