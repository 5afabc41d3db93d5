"""The test vectors of the specification, a module for each file; see make_vectors.py."""
