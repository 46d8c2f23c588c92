"""Fraud: indicators and their rule sets, cases and reports."""
