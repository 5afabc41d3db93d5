"""Log entries as columns: the auditor's second, independent implementation of the verdicts.

It checks verdicts that are logged, by induction (``columns.judge``), in array expressions; the
plain reference says what is right, and property tests hold the two together. It shares nothing
with ``kernel``, whose verdicts it checks.
"""
