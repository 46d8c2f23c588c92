"""Replay: the past, for auditors."""
