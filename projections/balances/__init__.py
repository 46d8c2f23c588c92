"""Balances: what may this account spend right now?"""
