"""What ``make bench`` runs: rates of intake through HTTP, the machine's limits, the naive way."""
