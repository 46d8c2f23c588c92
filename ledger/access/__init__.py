"""Who may come in, and secrets that are kept outside the database."""
