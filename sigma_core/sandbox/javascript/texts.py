"""Calls that put texts together or take them apart."""

from __future__ import annotations

from dataclasses import replace

import re2
import tree_sitter

from sigma_core.sandbox.javascript.reader import Reader
from sigma_core.sandbox.javascript.values import MAX_CONSTANT, MAX_PARTS, Call, Value, arguments_of
from sigma_core.sandbox.vocabulary import name_set

_PATHS = name_set("path.join path.resolve join path.posix.join path.win32.join")
_KEEPS = name_set("toString trim toLowerCase toUpperCase normalize trimEnd trimStart valueOf then")
_CUTS = name_set("slice substring substr")
_PLAIN_PATTERN = re2.compile(r"^/(\[?)([\w\s!@#%&~:;,<>=_'\"-]{1,20})\]?\+?/[gimsuy]{0,4}$")


def text_call_of(reader: Reader, call: Call) -> Value | None:
    """The text or list that a call makes of known ones, or None where nothing is known."""
    holder, first, method = call.holder, call.first, call.method
    if call.name.removeprefix("node:") in _PATHS:
        return Value("/".join(value.constant or "?" for value in call.arguments)[:MAX_CONSTANT], call.labels)
    if call.name == "String.raw":
        return first
    if holder.parts:
        if method == "join":
            separator = first.constant if first.constant is not None else ","
            text = separator.join(holder.parts)[:MAX_CONSTANT]
            reader.embed("concatenation", "text", text, call.node)
            return Value(text, holder.labels, folded=True)
        if method == "reverse":
            return replace(holder, parts=holder.parts[::-1])
        if method == "concat" and first.parts:
            return replace(holder, parts=(holder.parts + first.parts)[:MAX_PARTS])
    if holder.constant is None:
        return None
    if method == "split" and first.constant is not None:
        parts = holder.constant.split(first.constant) if first.constant else list(holder.constant)
        return Value(parts=tuple(parts[:MAX_CONSTANT]), labels=holder.labels)
    if method in {"replace", "replaceAll"}:
        return _replaced(reader, call)
    if method in _CUTS:
        return replace(holder, constant=_cut(holder.constant, method, [value.constant for value in call.arguments]))
    if method == "charAt":
        at = _number(first.constant)
        return replace(holder, constant=holder.constant[at : at + 1] if at is not None and at >= 0 else None)
    if method == "concat":
        texts = [holder.constant, *(value.constant or "" for value in call.arguments)]
        return Value("".join(texts)[:MAX_CONSTANT], holder.labels | call.labels, folded=True)
    return Value(holder.constant, holder.labels, folded=holder.folded) if method in _KEEPS else None


def _replaced(reader: Reader, call: Call) -> Value:
    """``text.replace(/x/g, '')`` where the pattern is a plain text or a set of characters; else the text as it stands."""
    holder, nodes = call.holder, arguments_of(call.node)
    text, instead = holder.constant or "", call.argument(1).constant
    if not nodes or instead is None:
        return Value(text, holder.labels, folded=holder.folded)
    pattern: tree_sitter.Node = nodes[0]
    if pattern.type == "regex":
        match = _PLAIN_PATTERN.search(reader.text(pattern))
        for old in (list(match.group(2)) if match.group(1) else [match.group(2)]) if match else []:
            text = text.replace(old, instead)[:MAX_CONSTANT]
    elif call.first.constant:
        count = -1 if call.method == "replaceAll" else 1
        text = text.replace(call.first.constant, instead, count)[:MAX_CONSTANT]
    return Value(text, holder.labels, folded=text != holder.constant or holder.folded)


def _cut(text: str, method: str, arguments: list[str | None]) -> str:
    start = _number(arguments[0]) if arguments else 0
    if start is None:
        return text
    if len(arguments) < 2:
        return text[start:]
    end = _number(arguments[1])
    if end is None:
        return text
    return text[start : start + end] if method == "substr" else text[start:end]


def _number(constant: str | None) -> int | None:
    try:
        return int(constant or "", 0)
    except ValueError:
        return None
