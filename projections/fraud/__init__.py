"""Fraud: which indicators hit, on whom, with what evidence?

An event says something about several subjects (`event_signals.py`); each is judged by itself, from
what is kept of it (`states.py`) and the rule set in force (`judging.py`). So players, instruments
and devices can be judged on different cores or machines, and come to the same.
"""
