"""Providers: the port they are reached through, and an adapter for each."""
