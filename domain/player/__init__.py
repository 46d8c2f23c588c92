"""Players: who they are, what holds them back, and what they use."""
