"""The event store: one append, its proof, and the database beneath."""
