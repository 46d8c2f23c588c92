"""When is each indicator true? One function for each, by what it looks at."""
