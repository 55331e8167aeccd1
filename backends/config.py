"""Configuration: which stacks, where they live, how the room behaves (being built)."""
