"""Lookup: what is this id, reference, name or number?"""
