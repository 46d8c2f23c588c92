"""Withdrawals: money that goes out, in one or several legs."""
