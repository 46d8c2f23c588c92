"""Commands: load, decide, append. One module per kind of thing; `handling.py` is the loop."""
