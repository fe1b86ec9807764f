"""Usage accounting: what must hold of its rows."""
