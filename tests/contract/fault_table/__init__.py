"""What the table of faults is made of: who is asked, how each source is made to fail, what may come of it."""
