"""Parameter expansion: slices, replacements, defaults, indirection, arrays, arguments."""

from __future__ import annotations

from collections.abc import Callable

import re2
import tree_sitter

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import Source, join
from sigma_core.sandbox.shell.script import Script
from sigma_core.sandbox.shell.values import MAX_TEXT, Word

_FORM = re2.compile(r"(?s)^\$\{([!#]?)([A-Za-z_]\w*|[0-9]+|[@*#?$!-])(\[[^\]]*\])?(.*)\}$")
_SLICE = re2.compile(r"^:\s*(-?\s*\d+)\s*(?::\s*(-?\s*\d+))?$")
_REPLACE = re2.compile(r"(?s)^/([/#%]?)((?:[^/\\]|\\.)*)(?:/(.*))?$")
_DEFAULTS = (":-", ":=", ":+", "-", "=", "+")
_OWN_FOLDER = re2.compile(r"\.(?:openclaw|clawdbot|moltbot)/")
"""Where skills keep the key that the person gave them: as the default of a setting, it is their own."""
_SLASH = frozenset({"HOME", "PWD", "PATH", "SHELL", "OLDPWD"})
"""Variables whose value begins with a slash: `${PATH:0:1}` is how one is written without writing it."""


def expand(script: Script, node: tree_sitter.Node, resolve: Callable[[tree_sitter.Node], Word]) -> Word:
    """``$name`` or ``${…}``; ``resolve`` reads the words inside."""
    text = script.text(node)
    inner = [
        resolve(child)
        for child in node.children
        if child.type in {"command_substitution", "concatenation", "string", "expansion", "simple_expansion"}
    ]
    match = _FORM.search(text) if node.type == "expansion" else None
    if match is None:
        return _value(script, text[1:].strip("{}"), text)
    prefix, name, index, rest = match.group(1), match.group(2), match.group(3), match.group(4)
    if prefix == "#":
        return Word(text)
    if rest.startswith("@P"):
        script.hit("SIGMA-OBF-010", text[:80], node)
    if prefix == "!" and not index and not rest:
        pointed = script.variables.get(name)
        value = (
            _value(script, pointed.text, text) if pointed is not None and pointed.text.isidentifier() else Word(text)
        )
        return Word(value.text, value.labels, True)
    known = script.variables.get(name)
    if known is not None and known.items and index:
        return _element(known, index[1:-1].strip(), rest)
    if rest.startswith(_DEFAULTS):
        if known is not None and (known.text or known.labels):
            return known
        default = rest.lstrip(":-=+")
        labels = join(*(word.labels for word in inner))
        value = _value(script, name, "")
        secret = inner[0].text if inner else default.strip("'\"")
        if vocabulary.secret_file(secret) and not _OWN_FOLDER.search(default):
            return Word(secret, labels)
        if value.labels or not default:
            return Word(value.text or text, join(value.labels, labels))
        if _OWN_FOLDER.search(default):
            return Word(f"${name}", labels)
        return Word(inner[0].text if inner else default.strip("'\""), labels)
    if known is None and name in _SLASH and rest.replace(" ", "") == ":0:1":
        return Word("/", built=True)
    value = _value(script, name, text)
    return _changed(value, rest) if known is not None and rest else value


def _value(script: Script, name: str, text: str) -> Word:
    if name == "IFS":
        return Word(" ", built=True)
    known = script.variables.get(name)
    if known is not None:
        return known
    if name in {"@", "*"}:
        return Word(text)
    if name and vocabulary.secret_variable(name):
        return Word(f"${name}", frozenset({(Source.SECRET_VARIABLE, name)}))
    return Word({"HOME": "~"}.get(name, f"${name}" if name else text))


def _element(array: Word, index: str, rest: str) -> Word:
    if index in {"@", "*"}:
        items = array.items
        slices = _SLICE.search(rest)
        if slices:
            items = items[_cut(slices.group(1), slices.group(2))]
        return Word(" ".join(item.text for item in items)[:MAX_TEXT], array.labels, items=items)
    if index.lstrip("-").isdigit() and -len(array.items) <= int(index) < len(array.items):
        return array.items[int(index)]
    return Word("", array.labels)


def _changed(value: Word, rest: str) -> Word:
    """A known value, sliced, replaced, trimmed or in other case."""
    text = value.text
    slices = _SLICE.search(rest)
    replaced = _REPLACE.search(rest)
    if slices:
        text = text[_cut(slices.group(1), slices.group(2))]
    elif replaced:
        old, new = replaced.group(2).replace("\\", "").strip("'\""), (replaced.group(3) or "").strip("'\"")
        if old and not any(character in old for character in "*?["):
            text = text.replace(old, new, -1 if replaced.group(1) == "/" else 1)[:MAX_TEXT]
    elif rest in {"^^", ",,"}:
        text = text.upper() if rest == "^^" else text.lower()
    elif rest.startswith("#"):
        text = text.removeprefix(rest.lstrip("#"))
    elif rest.startswith("%"):
        text = text.removesuffix(rest.lstrip("%"))
    return Word(text, value.labels, value.built or text != value.text)


def _cut(start: str, length: str | None) -> slice:
    first = int(start.replace(" ", ""))
    if length is None:
        return slice(first, None)
    count = int(length.replace(" ", ""))
    if count < 0:
        return slice(first, count)
    return slice(first, first + count if first >= 0 or first + count < 0 else None)
