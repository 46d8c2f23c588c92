"""Adjustments: two people correct the books."""
