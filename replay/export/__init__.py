"""Exports of the log: events in files that are the same bytes whenever they are made again."""
