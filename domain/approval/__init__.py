"""Approvals: who has to agree, and what an agreement is bound to."""
