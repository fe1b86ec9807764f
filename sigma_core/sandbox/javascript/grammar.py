"""Which grammar a script follows: JavaScript, TypeScript with JSX, or TypeScript with type assertions in angle brackets.

A script that follows the first grammar is parsed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


PIECE = 1_024
_CUTS = (b"\n", b";", b" ")


@cache
def _parser(number: int) -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(_GRAMMARS[number]()))


def parse_script(data: bytes) -> tuple[list[tree_sitter.Node], bool]:
    """The roots of ``data``: one, by the grammar that it breaks least, the first of those that break equally.

    Where every grammar gives up on ``data`` (`sigma_core.sandbox.syntax_trees`), it is read in pieces of about `PIECE` bytes, each for itself; then the second value is true, and pieces that no
    grammar reads have no root.
    """
    whole = _least_broken(data, 0, len(data))
    if whole is not None:
        return [whole], False
    roots = (_least_broken(data, start, end) for start, end in _pieces(data))
    return [root for root in roots if root is not None], True


def _least_broken(data: bytes, start: int, end: int) -> tree_sitter.Node | None:
    best, least = None, 0
    for number in range(len(_GRAMMARS)):
        try:
            root = parse_within_steps(_parser(number), data, start, end).root_node
        except ValueError:
            continue
        broken = _broken_bytes(root)
        if best is None or broken < least:
            best, least = root, broken
        if broken == 0:
            break
    return best


def _pieces(data: bytes) -> Iterator[tuple[int, int]]:
    """Stretches of at most `PIECE` bytes that end behind a line end, a semicolon or a blank where there is one."""
    start = 0
    while start < len(data):
        end = min(len(data), start + PIECE)
        if end < len(data):
            cut = next((at for mark in _CUTS if (at := data.rfind(mark, start, end)) > start), end - 1)
            end = cut + 1
            while end > start + 1 and data[end : end + 1] and data[end] & 0xC0 == 0x80:
                end -= 1
        yield start, end
        start = end


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
