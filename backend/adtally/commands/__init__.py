"""What each ``adtally`` command does; names and options are in ``adtally.cli``."""
