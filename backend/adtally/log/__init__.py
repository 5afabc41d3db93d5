"""The append-only Merkle log: segments on disk, RFC 9162 tree, checkpoints, proofs."""
