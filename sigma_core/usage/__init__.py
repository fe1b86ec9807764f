"""Usage accounting of audit engines, in a database of its own: one row per attempt, append-only."""
