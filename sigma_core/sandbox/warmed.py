"""Importing this loads the sandbox with its rules: for a process that others are forked from, so that none of them pays for it."""

from __future__ import annotations

from sigma_core.sandbox import derive, dry_run
from sigma_core.sandbox.rules import load_rules

__all__ = ["derive", "dry_run"]

load_rules().compile()
