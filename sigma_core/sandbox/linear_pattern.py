"""How the patterns of rule packs are compiled: linear in the text, bounded in memory, and silent about it."""

from __future__ import annotations

from typing import Any

import re2

MAX_MEMORY = 524_288
"""Bytes that RE2 may keep for one pattern's automaton. Beyond it RE2 goes on with a slower search that is linear too and finds the same."""


def linear_pattern(pattern: str, max_memory: int = MAX_MEMORY) -> Any:
    """``pattern`` as RE2 compiles it. Raises re2.error for one that RE2 does not take."""
    options = re2.Options()
    options.max_mem = max_memory
    options.log_errors = False
    return re2.compile(pattern, options)
