"""The past: what read models would have answered at a position."""
