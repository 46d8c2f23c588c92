"""A payment service provider that exists only on this machine, for demos, load and tests.

It runs as a process of its own and is reached over HTTP like any other provider. Nothing here
is imported by the ledger, except the wire format by the adapter.
"""
