"""Signed checkpoints: what the log was at a size, in a form that outsiders can keep and check."""
