"""The terminal application and the command line."""

import gc

# Loading makes much and drops little. To look through all of it again and again takes a tenth of the start.
gc.set_threshold(50_000)
