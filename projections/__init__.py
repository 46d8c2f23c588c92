"""Projections: everything that is asked, folded from the log."""
