"""Disputes: what a bank contests."""
