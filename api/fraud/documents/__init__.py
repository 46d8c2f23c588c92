"""Documents that are made of reports of suspicious activity."""
