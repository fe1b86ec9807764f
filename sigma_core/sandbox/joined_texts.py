"""Texts of Python that are joined from pieces in several modules: each module is harmless, what they make together is read as one."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import re2

_IMPORTED = re2.compile(
    r"(?m)^[ \t]*(?:from[ \t]+(?:[\w.]{0,80}\.)?(\w{1,60})[ \t]+import|import[ \t]+(?:[\w.]{0,80}\.)?(\w{1,60})\b)"
)
MAX_FILES = 60
MAX_CHARACTERS = 20_000
"""Of one module; pieces of a command stand in short ones."""
MAX_PIECES = 400
MAX_TEXT = 4_000
MAX_PARTS = 40
"""Operands of one joined text."""


@dataclass(frozen=True, slots=True)
class JoinedText:
    """``text`` is joined on ``line`` of ``path`` from pieces, of which some stand in ``others``."""

    text: str
    path: str
    line: int
    others: tuple[str, ...]


def joined_texts(modules: Mapping[str, str]) -> Iterator[JoinedText]:
    """The texts that modules of Python join from their own names and from names of other modules. Nothing is run; time is linear in the modules."""
    named = {path.rpartition("/")[2].removesuffix(".py"): path for path in sorted(modules)}
    taken = {
        path: {name for found in _IMPORTED.findall(modules[path]) for name in found if name in named}
        for path in sorted(modules)
    }
    linked = {path for path, names in taken.items() if names} | {
        named[name] for names in taken.values() for name in names
    }
    trees = {path: tree for path in sorted(linked)[:MAX_FILES] if (tree := _tree(modules[path])) is not None}
    names = {name: path for name, path in named.items() if path in trees}
    pieces: dict[str, dict[str, tuple[str, frozenset[str]]]] = {path: {} for path in trees}
    # Twice, since a module may come before the one that it takes a piece from.
    for _ in range(2):
        for path, tree in trees.items():
            held = pieces[path]
            for node in tree.body:
                if isinstance(node, ast.ImportFrom):
                    source = pieces.get(names.get((node.module or "").rpartition(".")[2], ""), {})
                    held |= {
                        alias.asname or alias.name: source[alias.name] for alias in node.names if alias.name in source
                    }
                elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                    value = _value(node.value, held, pieces, names, path)
                    if value is not None and len(held) < MAX_PIECES:
                        held[node.targets[0].id] = value
    for path, tree in trees.items():
        for node in tree.body:
            for part in ast.walk(node) if isinstance(node, ast.Assign | ast.Expr) else ():
                if isinstance(part, ast.BinOp | ast.JoinedStr | ast.Call):
                    value = _value(part, pieces[path], pieces, names, path)
                    if value is not None and value[1] - {path}:
                        yield JoinedText(value[0], path, part.lineno, tuple(sorted(value[1] - {path})))
                        break


def _tree(text: str) -> ast.Module | None:
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _value(
    node: ast.expr,
    held: Mapping[str, tuple[str, frozenset[str]]],
    pieces: Mapping[str, Mapping[str, tuple[str, frozenset[str]]]],
    names: Mapping[str, str],
    path: str,
) -> tuple[str, frozenset[str]] | None:
    """What an expression of constants and known names is, and the modules that its pieces stand in."""
    found: list[tuple[str, frozenset[str]]] = []
    waiting: list[ast.expr] = [node]
    while waiting:
        part = waiting.pop()
        if len(found) > MAX_PARTS or len(waiting) > MAX_PARTS:
            return None
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            found.append((part.value, frozenset({path})))
        elif isinstance(part, ast.Name) and part.id in held:
            found.append(held[part.id])
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            known = pieces.get(names.get(part.value.id, ""), {}).get(part.attr)
            if known is None:
                return None
            found.append(known)
        elif isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add):
            waiting += [part.right, part.left]
        elif isinstance(part, ast.JoinedStr):
            waiting += [
                piece.value if isinstance(piece, ast.FormattedValue) else piece for piece in reversed(part.values)
            ]
        elif (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Attribute)
            and part.func.attr == "join"
            and isinstance(part.func.value, ast.Constant)
            and part.func.value.value == ""
            and len(part.args) == 1
            and isinstance(part.args[0], ast.List | ast.Tuple)
        ):
            waiting += reversed(part.args[0].elts)
        else:
            return None
    if sum(len(piece) for piece, _ in found) > MAX_TEXT:
        return None
    return "".join(piece for piece, _ in found), frozenset().union(*(places for _, places in found))
