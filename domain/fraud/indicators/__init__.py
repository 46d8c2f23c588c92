"""Indicators: what is looked for in payments, declared; how, is in `projections/fraud`."""
