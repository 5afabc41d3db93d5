"""adtally settles advertising money from a log that anyone can check."""

__version__ = "0.1.0"
