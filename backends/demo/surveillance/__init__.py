"""The simulated surveillance: its feeds, workers, stores and pages, obeying what the real ones obey."""
