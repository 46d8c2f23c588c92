"""Outstanding: what must workers do next, and when?"""
