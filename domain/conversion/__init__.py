"""Conversions between currencies, and the rates they are made at."""
