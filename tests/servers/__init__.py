"""Real servers for tests, each in its own directory and process group, gone when the session ends."""
