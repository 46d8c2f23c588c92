"""Running it all: objects are built, processes are started and kept running."""
