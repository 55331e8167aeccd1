"""``make bench``: the room under a real terminal, beside its peers. Nothing that pytest collects."""
