"""The ledger: everything that writes."""
