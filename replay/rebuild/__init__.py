"""Rebuilds: read models built anew from the log."""
