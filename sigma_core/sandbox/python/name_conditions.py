"""Conditions on file names: a loop over everything that keeps only keys reads keys."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from sigma_core.sandbox.observations import Labels, Source
from sigma_core.sandbox.python.paths import file_source, secret_of
from sigma_core.sandbox.python.values import Value

_SUFFIX_TESTS = frozenset({"endswith", "match", "fnmatch", "fnmatchcase", "search", "fullmatch"})


def secrets_tested(test: ast.expr, look: Callable[[str], Value]) -> Iterator[tuple[str, Labels]]:
    """``(name, labels)`` of each name that ``test`` compares with names of secret files, where it stands for a file of a listing."""
    pending, parts = [test], 0
    while pending and parts < 64:
        part, parts = pending.pop(), parts + 1
        if isinstance(part, ast.BoolOp):
            pending += part.values
            continue
        if isinstance(part, ast.Compare) and len(part.ops) == 1:
            pairs = [(part.left, part.comparators[0], ""), (part.comparators[0], part.left, "*")]
            if not isinstance(part.ops[0], ast.In | ast.Eq):
                continue
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.args:
            if part.func.attr not in _SUFFIX_TESTS:
                continue
            subject = part.func.value if len(part.args) == 1 else part.args[0]
            pairs = [(subject, part.args[-1], "*")]
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "any" and part.args:
            pairs = list(_any_pairs(part.args[0]))
        else:
            continue
        for subject, constants, before in pairs:
            name = _root(subject)
            if not name or not look(name).comes_from(Source.FILE, Source.FILES):
                continue
            for text in _texts(constants, look):
                prefix = "*" if before or text.startswith(".") else ""
                secret = secret_of(prefix + text) or secret_of(f"/{text}")
                if secret:
                    yield name, frozenset({(file_source(secret), secret)})


def _any_pairs(node: ast.expr) -> Iterator[tuple[ast.expr, ast.expr, str]]:
    """``any(word in name for word in words)``."""
    if not isinstance(node, ast.GeneratorExp) or len(node.generators) != 1:
        return
    element, words = node.elt, node.generators[0].iter
    if isinstance(element, ast.Compare) and len(element.ops) == 1:
        yield element.comparators[0], words, "*"
    elif isinstance(element, ast.Call) and isinstance(element.func, ast.Attribute):
        yield element.func.value, words, "*"
        if element.args:
            yield element.args[0], words, "*"


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else (node.args[0] if node.args and isinstance(node.func, ast.Name) else node.func)  # fmt: skip
    return node.id if isinstance(node, ast.Name) else ""


def _texts(node: ast.expr, look: Callable[[str], Value]) -> list[str]:
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return [element.value for element in node.elts[:64] if isinstance(element, ast.Constant) and isinstance(element.value, str)]  # fmt: skip
    if isinstance(node, ast.Name):
        value = look(node.id)
        return [item.text for item in (value.items or ())[:64] if item.text] or list(value.texts)
    return []
