"""Text that is pushed out of sight: after a screen of blank lines, or far to the right of its line."""

from __future__ import annotations

from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.scan import LayerScan

BLANK_LINES = 60
"""More than a tall screen shows; honest files have none so long."""
BLANK_COLUMNS = 240
"""More than a wide editor shows without wrapping."""
_BELOW = linear_pattern(rf"\n(?:[ \t\r]*\n){{{BLANK_LINES},}}[ \t]*\S")
_BESIDE = linear_pattern(rf"\S[ \t]{{{BLANK_COLUMNS},}}\S")
_SHOWN = 80


def read_padding(at: LayerScan) -> None:
    """Report the first text of the layer below a screen of nothing, and the first far to the right. The words themselves are read like any others."""
    for search, where in ((_BELOW, "below"), (_BESIDE, "beside")):
        match = search.search(at.layer.text)
        if match is not None:
            start = match.end() - 1
            at.report("SIGMA-OBF-017", where, start, min(start + _SHOWN, len(at.layer.text)))
