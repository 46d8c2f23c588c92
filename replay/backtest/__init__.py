"""Backtests: what another rule set would have found in the log, and decided about payouts.

Everything follows from the archive, in event time, by the same pure code as live. Signals are
dealt out by subject (`partitioning.py`), subjects are judged by the rule sets that were in force
and by the candidate (`judging.py`), and what weighs on a payout is put together again
(`joining.py`). The first two run on any engine, in pieces that do not know of each other.
"""
