"""Deposits: money that comes in."""
