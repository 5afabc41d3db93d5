"""What ``make faults`` runs: a real service that is killed, starved, lied to and overloaded."""
