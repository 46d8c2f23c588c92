"""`tallystick demo`: a seeded day of traffic through the real API and the provider simulator.

`plan.py` says what players and staff will do, `play.py` does it over HTTP, `report.py` says what
came of it.
"""
