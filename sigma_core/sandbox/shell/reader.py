"""A shell script read piece by piece, with one state for all of it."""

from __future__ import annotations

import re2

from sigma_core.sandbox.observations import Observations
from sigma_core.sandbox.shell.commands import run
from sigma_core.sandbox.shell.pieces import Pieces
from sigma_core.sandbox.shell.script import Piece, Script
from sigma_core.sandbox.shell.statements import statements

WORK_PER_CHARACTER = 16
LEAST_WORK = 262_144
CALLS_PER_CHARACTER = 4
LEAST_CALLS = 32_768
_PLACEHOLDER = re2.compile(r"(?m)(^|[^<])<([A-Za-z][\w|:-]{0,60}(?: [\w|:-]{1,30}){0,6})>(\s|['\"`,)\]]|$)")
_WORD = str.maketrans(" |", "__")


def read_shell(source: str) -> Observations:
    """Observations of shell ``source``; never raises on malformed input (the grammar recovers). What could not be read as it is meant is in ``bounds``."""
    observations = Observations()
    script = Script(
        observations,
        output_of=lambda node, stdin=None: statements(script, node, stdin),
        run=lambda call: run(script, call),
        work_left=LEAST_WORK + WORK_PER_CHARACTER * len(source),
        calls_left=LEAST_CALLS + CALLS_PER_CHARACTER * len(source),
    )
    pieces = Pieces(_without_placeholders(source.encode("utf-8", "replace").decode()))
    for start, data, root in pieces.trees():
        script.piece = Piece.of(start, data)
        statements(script, root)
    if pieces.cut:
        observations.bound("statement too long to parse")
    return observations


def _without_placeholders(source: str) -> str:
    """``source`` with ``<name>`` as a plain word of the same length: documents write so what the person fills in, the shell would take it for redirections."""
    if "<<" in source or "<" not in source:
        return source
    return str(_PLACEHOLDER.sub(lambda m: f"{m.group(1)}_{m.group(2).translate(_WORD)}_{m.group(3)}", source))
