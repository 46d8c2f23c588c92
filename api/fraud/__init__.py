"""Indicators, cases, reports and rule sets."""
