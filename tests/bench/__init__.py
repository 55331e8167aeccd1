"""``make bench``: the room under a real terminal, beside its peers. Not a timed test; pytest leaves it alone."""
