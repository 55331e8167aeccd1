"""The terminal application and the command line."""

import gc
import os

# Loading makes much and drops little. To look through all of it again and again takes a tenth of the start.
gc.set_threshold(50_000)

# How often the toolkit paints at most, read when it is loaded. At its own 60 a key waits twice as long for
# the next frame; what is painted is the same, for nothing here is animated.
os.environ.setdefault("TEXTUAL_FPS", "120")
