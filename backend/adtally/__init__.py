"""adtally settles advertising money from a log that anyone can check."""
