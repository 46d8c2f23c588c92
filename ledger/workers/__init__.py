"""Workers: they follow what was written, and do what it asks for."""
