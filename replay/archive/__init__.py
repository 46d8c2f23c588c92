"""The archive: the log as files that no database is needed for, and what is computed from them."""
