"""Everything that knows the stacks: what reads them, what acts on them, and the journal of it."""

from typing import Final

VERSION: Final = "0.1.0"
"""Of the whole program. A constant: the metadata of installed packages take 20 ms of a start to read."""
