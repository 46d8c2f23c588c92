"""Players: who they are, their limits and their money."""
