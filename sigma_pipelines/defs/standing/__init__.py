"""Standing: ledger, accuracy, reputation, weights."""
