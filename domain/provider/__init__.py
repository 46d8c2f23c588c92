"""Providers: what goes out to them, what they say, and how doubts end."""
