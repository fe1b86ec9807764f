"""Which grammar a script follows: JavaScript, TypeScript with JSX, or TypeScript with type assertions in angle brackets.

A script that follows the first grammar is parsed once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import tree_sitter
import tree_sitter_javascript
import tree_sitter_typescript

from sigma_core.sandbox.syntax_trees import parse_within_steps

_GRAMMARS: tuple[Callable[[], object], ...] = (
    tree_sitter_javascript.language,
    tree_sitter_typescript.language_tsx,
    tree_sitter_typescript.language_typescript,
)


@cache
def _parser(number: int) -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(_GRAMMARS[number]()))


def parse_script(data: bytes) -> tree_sitter.Node:
    """The root of the syntax tree by the grammar that ``data`` breaks least, the first of those that break equally.

    Raises ValueError where every grammar gives up on ``data`` (`sigma_core.sandbox.syntax_trees`).
    """
    best, least = None, 0
    for number in range(len(_GRAMMARS)):
        try:
            root = parse_within_steps(_parser(number), data).root_node
        except ValueError:
            continue
        broken = _broken_bytes(root)
        if best is None or broken < least:
            best, least = root, broken
        if broken == 0:
            break
    if best is None:
        raise ValueError("no grammar reads this text within its steps")
    return best


def _broken_bytes(root: tree_sitter.Node) -> int:
    """Bytes of ``root`` that its grammar does not cover; a missing token counts as one."""
    broken, open_nodes = 0, [root] if root.has_error else []
    while open_nodes:
        node = open_nodes.pop()
        if node.is_error:
            broken += max(1, node.end_byte - node.start_byte)
        elif node.is_missing:
            broken += 1
        else:
            open_nodes += [child for child in node.children if child.has_error or child.is_missing]
    return broken
