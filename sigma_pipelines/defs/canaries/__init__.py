"""Canaries: unannounced packages, and what all canaries say of families and validators."""
