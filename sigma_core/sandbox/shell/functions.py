"""Functions of a script: read where they are defined, and again where they are called with something that matters."""

from __future__ import annotations

import tree_sitter

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import join
from sigma_core.sandbox.shell.script import Body, Script
from sigma_core.sandbox.shell.values import ESCAPED, Call, Stream, Word

MAX_CALL_DEPTH = 8


def define(script: Script, node: tree_sitter.Node) -> None:
    """Remember the function that ``node`` defines."""
    name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
    if name is not None and body is not None:
        script.functions[script.text(name)] = Body(body, script.piece)


def call_function(script: Script, call: Call) -> Stream | None:
    """What the function does with these arguments and this input, or None where reading it again would tell nothing new."""
    body = script.functions.get(call.path)
    if body is None or script.call_depth >= MAX_CALL_DEPTH or not _matters(call):
        return None
    key = (tuple(call.arguments), call.stdin.labels)
    if key in body.seen:
        return None
    body.seen.add(key)
    size = body.node.end_byte - body.node.start_byte
    if script.calls_left < size:
        script.out.bound("function calls")
        return None
    script.calls_left -= size
    outer, variables = script.piece, script.variables
    every = Word(" ".join(call.texts), call.labels, items=tuple(call.arguments))
    script.variables = (
        variables | {str(at): word for at, word in enumerate(call.arguments[:9], 1)} | {"@": every, "*": every}
    )
    script.piece = body.piece
    script.call_depth += 1
    try:
        result = script.output_of(body.node, call.stdin)
    finally:
        script.call_depth -= 1
        script.piece = outer
        inner = script.variables
        script.variables = {name: word for name, word in inner.items() if not name.isdigit() and name not in "@*"} | {
            name: word for name, word in variables.items() if name.isdigit() or name in "@*"
        }
    return Stream(join(result.labels), result.text)


def _matters(call: Call) -> bool:
    return bool(
        call.labels
        or call.stdin.labels
        or any("://" in text or ESCAPED.search(text) or vocabulary.secret_file(text) for text in call.texts)
    )
