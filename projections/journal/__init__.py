"""Journal: what was posted where, and what was the balance after it?"""
