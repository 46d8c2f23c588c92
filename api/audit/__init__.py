"""The log as it is: accounts, events, checkpoints, proofs, exports."""
