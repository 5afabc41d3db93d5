"""adtally settles advertising money from a log that anyone can check."""

import os

__version__ = "0.1.0"

# Ethereum's libraries take the first Keccak that they find; this one is fifteen times as fast.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")
