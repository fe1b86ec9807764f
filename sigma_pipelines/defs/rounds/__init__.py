"""The chain of one submission: package, facts, two panels, outcome, certificate."""
