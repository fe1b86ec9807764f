"""Code that a cipher of the module's own making hides: a function that mixes numbers, given literals, whose result is run.

What can be computed without running anything is computed and read (`pure_functions`); this sees the form where it cannot be.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import islice

from sigma_core.sandbox.python.syntax_trees import Function, dotted_name
from sigma_core.sandbox.vocabulary import name_set

MOST = 4_000
"""Nodes of one function that are looked at."""
LONG = 24
"""Characters, bytes or numbers of a literal that may hide a command."""
_RUNS = name_set(
    "exec eval compile os.system os.popen subprocess.run subprocess.call subprocess.Popen subprocess.check_output"
)


def ciphered_code(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, str, ast.AST]]:
    """``(rule, subject, node)`` of each call among ``nodes``, all nodes of a module, that runs what such a function makes of a literal."""
    ciphers = {
        node.name
        for node in nodes
        if isinstance(node, Function)
        and any(
            isinstance(part, ast.BinOp) and isinstance(part.op, ast.BitXor) for part in islice(ast.walk(node), MOST)
        )
    }
    if not ciphers:
        return
    long = {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign) and _is_long(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    made = {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign) and _deciphers(node.value, ciphers, long)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in nodes:
        if isinstance(node, ast.Call) and node.args and dotted_name(node.func) in _RUNS:
            given = node.args[0]
            if (isinstance(given, ast.Name) and given.id in made) or _deciphers(given, ciphers, long):
                yield "SIGMA-THREAT-005", dotted_name(node.func), node


def _is_long(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | bytes) and len(node.value) >= LONG
    return isinstance(node, ast.List | ast.Tuple) and len(node.elts) >= LONG


def _deciphers(node: ast.expr, ciphers: set[str], long: set[str]) -> bool:
    """Whether an expression is a cipher's result for a long literal, perhaps decoded or compiled after it."""
    while isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in ciphers:
            return any(_is_long(part) or (isinstance(part, ast.Name) and part.id in long) for part in node.args)
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"decode", "strip"}:
            node = node.func.value
        elif isinstance(node.func, ast.Name) and node.func.id in {"bytes", "str", "bytearray", "compile"} and node.args:
            node = node.args[0]
        else:
            return False
    return False
