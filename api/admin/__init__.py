"""What decisions are measured by, providers, and the health of the service."""
