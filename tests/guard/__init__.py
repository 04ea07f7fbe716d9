"""What each kind of request may cost, counted and not timed: statements, commits, flushes to disk, memory, plans."""
