"""The embedded PostgreSQL: its binaries, its home, its start and stop."""
