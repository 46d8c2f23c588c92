"""Tools for trying things out: a simulated provider, a demo, synthetic players."""
