"""Transactions of every kind, what waits for people, and what providers send."""
