"""The domain: what money may do. Standard library only."""
