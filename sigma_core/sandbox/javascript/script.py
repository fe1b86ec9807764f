"""A whole script: parsed, walked twice, reported."""

from __future__ import annotations

from sigma_core.sandbox.javascript.bindings import BINDINGS
from sigma_core.sandbox.javascript.calls import CALLS
from sigma_core.sandbox.javascript.expressions import EXPRESSIONS
from sigma_core.sandbox.javascript.grammar import parse_script
from sigma_core.sandbox.javascript.reader import Reader
from sigma_core.sandbox.observations import Observations

_SYNTAX = {**EXPRESSIONS, **BINDINGS, **CALLS}
WORK_PER_CHARACTER = 32
LEAST_WORK = 1_048_576
"""Characters of text that a script of any size may build."""


def read_javascript(source: str) -> Observations:
    """Observations of JavaScript or TypeScript ``source``; never raises on malformed input (the grammar recovers)."""
    data = source.encode("utf-8", "replace")
    offsets: list[int] | None = None
    if not source.isascii():
        offsets = []
        for index, character in enumerate(source):
            offsets += [index] * len(character.encode("utf-8", "replace"))
        offsets.append(len(source))
    observations = Observations()
    reader = Reader(observations, data, offsets, LEAST_WORK + WORK_PER_CHARACTER * len(source), _SYNTAX)
    roots, cut = parse_script(data)
    if cut:
        observations.bound("statement too long to parse")
    for emitting in (False, True):
        for root in roots:
            reader.walk(root, emitting=emitting)
    return observations
