"""What the reading of a script passes around: abstract values, and one call with its arguments."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import re2
import tree_sitter

from sigma_core.sandbox.observations import NO_LABELS, SENDABLE, Labels, join, only

MAX_CONSTANT = 65_536
"""Characters that one known text keeps."""
MAX_PARTS = 1_024
"""Elements that one array keeps, and fields that one object keeps."""


_ESCAPE = re2.compile(r"(?s)\\([0-3][0-7]{0,2}|[4-7][0-7]?|.)")
"""An octal number ends before it would pass 255 (ECMAScript, annex B.1.2)."""
_ESCAPED = frozenset("\n\\'\"bfnrtvxu")
"""What stands behind the backslash of an escape; behind any other one it means itself."""


@dataclass(frozen=True, slots=True)
class Value:
    """``constant`` where the text is known, ``labels`` of where it came from, the dotted ``name`` it stands for; ``parts`` are the
    texts of an array and ``fields`` the values of an object; ``headers`` are the labels that an options object carries in its
    request headers; ``folded`` says that the constant was put together."""

    constant: str | None = None
    labels: Labels = NO_LABELS
    name: str = ""
    parts: tuple[str, ...] = ()
    folded: bool = False
    headers: Labels = NO_LABELS
    fields: Mapping[str, Value] | None = field(default=None, hash=False)


UNKNOWN = Value()
FUNCTIONS = frozenset({"arrow_function", "function_expression", "function", "generator_function"})
"""Syntax of functions that are values."""


@dataclass(frozen=True)
class Call:
    """One call: the full dotted name of what is called, the value before the last dot, the arguments, and where it stands."""

    node: tree_sitter.Node
    name: str
    method: str
    holder: Value
    arguments: list[Value]

    @cached_property
    def first(self) -> Value:
        """The first argument."""
        return self.argument(0)

    def argument(self, at: int) -> Value:
        """The argument number ``at``, unknown where there is none."""
        return self.arguments[at] if at < len(self.arguments) else UNKNOWN

    @cached_property
    def labels(self) -> Labels:
        """Where the arguments came from."""
        return join(*(value.labels for value in self.arguments))

    @cached_property
    def root(self) -> str:
        """The module or object that the name begins with, without ``node:``."""
        return self.name.removeprefix("node:").partition(".")[0].partition("/")[0]


def arguments_of(node: tree_sitter.Node) -> list[tree_sitter.Node]:
    """The arguments of a call; of a tagged template, the template."""
    listed = node.child_by_field_name("arguments")
    if listed is None:
        return []
    if listed.type == "template_string":
        return [listed]
    return [child for child in listed.named_children if child.type != "comment"]


def sendable(labels: Labels) -> Labels:
    """Those of ``labels`` whose arrival at the network matters."""
    return only(labels, *SENDABLE)


def _as_python(escape: Any) -> str:
    """Of an escape that the language does not know the character stays: ``"\\c\\u0075rl"`` is a way to write curl."""
    if escape.group(1)[0] in "01234567":
        return f"\\x{int(escape.group(1), 8):02x}"
    return str(escape.group() if escape.group(1) in _ESCAPED else escape.group(1))


def unescape(text: str) -> str:
    """``text`` of a literal with its escapes resolved."""
    if "\\" not in text or not text.isascii():
        return text
    try:
        # Escaped halves of one character are put together; a half alone is no text.
        plain = codecs.decode(_ESCAPE.sub(_as_python, text).encode("ascii"), "unicode_escape")
        return plain if plain.isascii() else plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    except (UnicodeDecodeError, ValueError):
        return text
