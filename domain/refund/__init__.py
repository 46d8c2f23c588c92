"""Refunds: a deposit, or a part of it, that goes back."""
