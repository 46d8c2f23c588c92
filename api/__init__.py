"""The API: the present over HTTP."""
