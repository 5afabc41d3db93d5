"""An attestor at work: its store, machine, key and peers, what it serves, and the finish."""
