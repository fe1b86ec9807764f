"""Code that comes back by itself: loops that wait, and functions that have themselves called again."""

from __future__ import annotations

import ast

_LATER = frozenset({"Timer", "call_later", "enter", "after", "add_job", "do"})
_MAX_NODES = 600
"""Nodes of one loop or function that are looked at."""


def waits(loop: ast.For | ast.AsyncFor) -> bool:
    """Whether the body of a loop sleeps before the next round."""
    return any(_last_name(call.func) == "sleep" for call in _calls(loop))


def calls_itself_later(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> bool:
    """Whether a function hands itself to a timer."""
    return isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and any(
        _last_name(call.func) in _LATER
        and any(isinstance(given, ast.Name) and given.id == function.name for given in call.args)
        for call in _calls(function)
    )


def _calls(node: ast.AST) -> list[ast.Call]:
    found: list[ast.Call] = []
    waiting = [node]
    for _ in range(_MAX_NODES):
        if not waiting:
            break
        here = waiting.pop()
        if isinstance(here, ast.Call):
            found.append(here)
        waiting += ast.iter_child_nodes(here)
    return found


def _last_name(function: ast.expr) -> str:
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )
