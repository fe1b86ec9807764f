"""The four embedded families: deterministic, without key or network, different in kind, each with its own errors."""
