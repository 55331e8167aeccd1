"""A Docker Engine API of version 1.41, as far as an operator's tools use it, over simulated containers."""
