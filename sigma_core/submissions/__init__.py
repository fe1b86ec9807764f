"""Intake: from a folder or archive that nobody trusts to a `Package` that everything after can rely on."""
