"""A module of Python, from its text to what it can do and where its values flow."""

from __future__ import annotations

import ast
import warnings
from itertools import chain

from sigma_core.sandbox.observations import Observations
from sigma_core.sandbox.python.bypassed_checks import bypassed_checks
from sigma_core.sandbox.python.own_ciphers import ciphered_code
from sigma_core.sandbox.python.statements import ModuleReader
from sigma_core.sandbox.python.weak_code import weak_code

MAX_REPAIRS = 6
_MIN_DOCSTRING = 20


def read_python(source: str) -> Observations:
    """Observations of Python ``source``.

    Raises SyntaxError, ValueError, RecursionError or MemoryError where `ast.parse` does; the caller decides what that means.
    """
    observations = Observations()
    tree, repaired = _parse(source, observations)
    reader = ModuleReader(tree, repaired, observations, len(source))
    reader.read_module()
    for rule_id, subject, place in bypassed_checks(reader.nodes):
        observations.hit(rule_id, subject, *reader.span(place))
    for rule_id, subject, found in chain(weak_code(reader.nodes, repaired), ciphered_code(reader.nodes)):
        observations.hit(rule_id, subject, *reader.span(found))
    for node in reader.nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            text = first.value.value if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) else None
            if isinstance(text, str) and len(text) > _MIN_DOCSTRING:
                observations.embed("docstring", "prose", text, *reader.span(first))
    return observations


def _parse(source: str, observations: Observations) -> tuple[ast.Module, str]:
    """The tree of ``source``, with at most `MAX_REPAIRS` lines that do not parse blanked out; a broken line must not hide the rest.

    What stands in place of such a line is as long as it was, so that the places of everything else stay true.
    """
    lines = source.split("\n")
    blanked: set[int] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(MAX_REPAIRS):
            try:
                return ast.parse("\n".join(lines)), "\n".join(lines)
            except SyntaxError as error:
                at = (error.lineno or 0) - 1
                if not 0 <= at < len(lines) or at in blanked:
                    raise
                blanked.add(at)
                if (error.msg or "").startswith("too many"):
                    observations.bound("syntax tree depth")
                indent = len(lines[at]) - len(lines[at].lstrip())
                lines[at] = lines[at][:indent] + "0".ljust(len(lines[at]) - indent)
        return ast.parse("\n".join(lines)), "\n".join(lines)
