"""What ``make bench`` measures, one file a part; ``scripts/bench/__main__.py`` lists them.

A part is ``measure(stage) -> Sheet``: it starts the servers it needs on the stage's first core,
loads them from the other, and returns its figures.
"""
