"""tree-sitter under counted work: what a grammar cannot follow can cost quadratic time and gigabytes; here it is cut off where it falls behind.

Measured: 100 kB of ``a<b,`` cost the TypeScript grammar more than 80 CPU s and 13 GB, because every step goes down the whole stack. So the count is held against
how far the parser has come: one that falls behind is cut off while the stack is low. Honest and garbled scripts alike take one step for 50 to 250 bytes.
"""

from __future__ import annotations

import tree_sitter

_CHUNK = 4_096
_STEPS_AHEAD = 64
"""Steps that the parser may take before its first byte, and in all beyond its rate. A step is a hundred operations of the parser."""
_BYTES_PER_STEP = 20
_DEEPEST = 512
_BRACKETS = b"([{)]}"
_OTHERS = bytes(set(range(256)) - set(_BRACKETS))
_WHOLE = tree_sitter.Range((0, 0), (0xFFFFFFFF, 0xFFFFFFFF), 0, 0xFFFFFFFF)


def parse_within_steps(
    parser: tree_sitter.Parser, data: bytes, start: int = 0, end: int | None = None
) -> tree_sitter.Tree:
    """The tree of the bytes ``start:end`` of ``data``; its places count from the beginning of ``data``.

    Raises ValueError where brackets nest deeper than `_DEEPEST` (counted in the bare bytes, whatever they stand in), or where the parser is `_STEPS_AHEAD` steps beyond one for each `_BYTES_PER_STEP` bytes that it has come; the count is the same everywhere.
    """
    steps, furthest = 0, start
    last = len(data) if end is None else end
    if _depth(data[start:last]) > _DEEPEST:
        raise ValueError("brackets nest too deep")

    def read(offset: int, _point: object) -> bytes:
        return data[offset : min(offset + _CHUNK, last)]

    def beyond(offset: int, _has_error: bool) -> bool:
        nonlocal steps, furthest
        steps, furthest = steps + 1, max(furthest, offset)
        return steps > _STEPS_AHEAD + (furthest - start) // _BYTES_PER_STEP

    whole = start == 0 and last == len(data)
    parser.included_ranges = [_WHOLE if whole else tree_sitter.Range((0, start), (0, last), start, last)]
    try:
        return parser.parse(read, progress_callback=beyond)
    finally:
        # A parser that was cut off would go on with the old text.
        parser.reset()


def _depth(data: bytes) -> int:
    """How deep the brackets of ``data`` nest at most; one that closes nothing counts for nothing."""
    depth = deepest = 0
    for bracket in data.translate(None, _OTHERS):
        if bracket in b"([{":
            depth += 1
            deepest = max(deepest, depth)
        elif depth:
            depth -= 1
    return deepest
