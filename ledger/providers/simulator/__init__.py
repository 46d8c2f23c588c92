"""The simulated provider, behind the port: what is sent to it and what it says."""
