"""Words, resolved: quotes, escapes, expansions and substitutions become the text that the shell would see."""

from __future__ import annotations

import re2
import tree_sitter

from sigma_core.sandbox.observations import join
from sigma_core.sandbox.shell.expansions import expand
from sigma_core.sandbox.shell.script import Script
from sigma_core.sandbox.shell.values import MAX_TEXT, Word, unescape

MAX_DEPTH = 60
MAX_NAME = 16
"""Letters of a command name that is put together from variables."""

_MAX_SOUGHT = 200
_SOUGHT = re2.compile(r"^\$\(\s*(?:command -v|which|type -[pP])\s+([\w.+-]+)(?:\s|\))")
"""``$(command -v nc)``: where a program lies; it is known by its name."""
_NAME = re2.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_EXPANSIONS = frozenset({"simple_expansion", "expansion", "command_substitution"})


def word(script: Script, node: tree_sitter.Node) -> Word:
    """``node`` as the word that it becomes."""
    if script.depth >= MAX_DEPTH:
        script.out.bound("nesting")
        return Word("")
    script.depth += 1
    try:
        return script.within_budget(_word(script, node))
    finally:
        script.depth -= 1


def _word(script: Script, node: tree_sitter.Node) -> Word:
    kind = node.type
    if kind in {"string", "concatenation", "command_name", "translated_string"}:
        return _joined(script, node)
    if kind in {"simple_expansion", "expansion"}:
        return expand(script, node, lambda inner: word(script, inner))
    if kind == "command_substitution" and (sought := _SOUGHT.search(script.text(node)[:_MAX_SOUGHT])):
        return Word(sought.group(1))
    if kind in {"command_substitution", "process_substitution"}:
        stream = script.output_of(node)
        return Word(stream.text if stream.text is not None else "$()", stream.labels, stream.text is not None)
    text = script.text(node)
    if kind == "raw_string":
        return Word(text[1:-1])
    if kind == "ansi_c_string":
        return Word(unescape(text[2:-1]), built=True)
    if kind == "word":
        plain = text.replace("\\\n", "")
        if "\\" in plain:
            unescaped = plain.replace("\\", "")
            return Word(unescaped, built=unescaped.isalpha())
        return Word(plain)
    return Word(text)


def _joined(script: Script, node: tree_sitter.Node) -> Word:
    children = [child for child in node.children if child.type not in {'"', "$", '$"'}]
    if len(children) == 1:
        only = word(script, children[0])
        return Word(only.text, only.labels, only.built, only.items)
    # An empty list of arguments between letters is only there to part them.
    parts = [
        Word("", built=node.type == "concatenation")
        if child.type == "simple_expansion" and script.text(child) in {"$@", "$*"} and node.type == "concatenation"
        else word(script, child)
        for child in children
    ]
    joined = "".join(part.text for part in parts)[:MAX_TEXT]
    # Two quoted or bare pieces side by side with no blank between them are string building, not quoting.
    built = any(part.built for part in parts) or (
        node.type == "concatenation" and (_splits_a_word(script, children) or _spells(children, parts, joined))
    )
    return Word(joined, join(*(part.labels for part in parts)), built)


def _splits_a_word(script: Script, children: list[tree_sitter.Node]) -> bool:
    if not all(child.type in {"raw_string", "string", "word"} for child in children):
        return False
    pieces = [script.text(child) for child in children]
    plain = "".join(piece.strip("'\"") for piece in pieces)
    return bool(_NAME.search(plain)) and any(piece[:1] in "'\"" for piece in pieces)


def _spells(children: list[tree_sitter.Node], parts: list[Word], joined: str) -> bool:
    """``$a$b`` that spells a name."""
    return (
        joined.isalpha()
        and len(joined) <= MAX_NAME
        and all(child.type in _EXPANSIONS for child in children)
        and all(0 < len(part.text) < len(joined) for part in parts)
    )
