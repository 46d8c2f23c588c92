"""Fraud cases: who is being looked into, and how often is each indicator right?"""
