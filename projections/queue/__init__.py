"""The queue: what waits for whom, since when, and why?"""
