"""The real program under a real pseudo-terminal."""
