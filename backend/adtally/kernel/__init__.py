"""Intake's fast path: the rules and the books of the plain reference in compiled code.

``verification`` and ``settlement`` say what is right, one event after the other, in plain Python;
attestors and auditors run that. Here the same is done for whole batches on arrays, compiled by
Numba; a property test holds both equal, verdict for verdict and unit for unit.
"""
