"""The shell: what starts everything, and is imported by nothing below."""
