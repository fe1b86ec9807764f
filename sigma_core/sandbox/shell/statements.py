"""Statements: pipes, redirections, assignments, loops and blocks, and the bytes that pass between commands."""

from __future__ import annotations

import re2
import tree_sitter

from sigma_core.sandbox.observations import NO_LABELS, Ability, Sink, Source, join
from sigma_core.sandbox.shell.assignments import assign
from sigma_core.sandbox.shell.commands import command, run_words
from sigma_core.sandbox.shell.functions import define
from sigma_core.sandbox.shell.script import Script
from sigma_core.sandbox.shell.values import Stream, Word, base_name, path_labels, sendable
from sigma_core.sandbox.shell.words import MAX_DEPTH, word
from sigma_core.sandbox.vocabulary import name_set

_BRACES = re2.compile(r"(?m)^\s*\{([^{}\s]+,[^{}\s]*)\}")
"""``{curl,-s,https://…}``: a command line without a blank."""
_LOCAL = re2.compile(r"^/dev/(?:tcp|udp)/(?:localhost|127\.|0\.0\.0\.0|\[?::1)")
_LISTING = re2.compile(r"^(?:export|declare|typeset)(?:\s+-[px]+)?\s*$")
"""``export -p``: the environment."""
_LOOPS = frozenset({"while_statement", "for_statement", "c_style_for_statement"})
_COMES_BACK = re2.compile(r"\bsleep\b|^(?:while\s+(?:true|:|\[+ 1|\(\( ?1)|until\s+false)")
"""A loop that waits, or never ends: it asks again and again."""
_MAX_LOOP = 8_192
_RAW = re2.compile(r"^/dev/(?:tcp|udp)/(?:[0-9]{1,3}\.){3}[0-9]{1,3}/")
_DEVICE = re2.compile(r"/dev/(?:tcp|udp)/")
_GIVES_A_SHELL = name_set("sh bash zsh ksh dash ash exec cat python python3 perl nc")
_SUBSTITUTIONS = frozenset({"command_substitution", "simple_expansion", "expansion"})
_NOT_RUN = frozenset(
    {"comment", "heredoc_body", "word", "number", "raw_string", "variable_name", "simple_expansion", "expansion", "arithmetic_expansion"}
)  # fmt: skip


def statements(script: Script, node: tree_sitter.Node, stdin: Stream | None = None) -> Stream:
    """Read every statement below ``node``; the result is what the last one writes."""
    if script.depth >= MAX_DEPTH:
        script.out.bound("nesting")
        return Stream()
    script.depth += 1
    result = Stream()
    try:
        for child in _listed(node):
            if child.is_named:
                out = statement(script, child, stdin)
                if out.labels or out.text is not None:
                    result = Stream(join(result.labels, out.labels), out.text)
    finally:
        script.depth -= 1
    return result


def _listed(node: tree_sitter.Node) -> list[tree_sitter.Node]:
    """The parts of ``node``; those of ``a && b && c``, which the grammar nests to the left, side by side."""
    parts: list[tree_sitter.Node] = []
    while node.type == "list" and node.child_count:
        parts += reversed(node.children[1:])
        node = node.children[0]
        if node.type != "list":
            return [node, *reversed(parts)]
    return node.children


def statement(script: Script, node: tree_sitter.Node, stdin: Stream | None = None) -> Stream:
    """Read one statement; the result is what it writes."""
    kind = node.type
    if kind == "command":
        return command(script, node, stdin or Stream())
    if kind == "pipeline":
        stream = stdin or Stream()
        for child in node.children:
            if child.is_named and child.type != "comment":
                stream = statement(script, child, stream)
        return stream
    if kind == "redirected_statement":
        return _redirected(script, node, stdin)
    if kind == "variable_assignment":
        assign(script, node)
        return Stream()
    if kind == "file_redirect" and node.named_children:
        # `$(< file)`
        read = word(script, node.named_children[-1])
        return Stream(join(read.labels, path_labels(read.text), script.written.get(read.text, NO_LABELS)))
    if kind == "declaration_command":
        if _LISTING.search(script.text(node)[:40]):
            script.can(Ability.ENVIRONMENT, "*", node)
            return Stream(frozenset({(Source.ENVIRONMENT, "export")}))
        for child in node.children:
            if child.type == "variable_assignment":
                assign(script, child)
        return Stream()
    if kind in _NOT_RUN:
        return Stream()
    if kind in {"string", "concatenation", "command_substitution", "process_substitution"}:
        return Stream(word(script, node).labels, None)
    if kind == "test_command":
        return statements(script, node)
    if kind == "function_definition":
        define(script, node)
    if kind == "ERROR":
        spelled = _BRACES.search(script.text(node)[:2_000])
        if spelled:
            words = [Word(piece, built=True) for piece in spelled.group(1).split(",")]
            written = run_words(script, words, stdin or Stream(), node)
            for child in [
                child for part in node.children if part.type == "pipeline" for child in part.named_children[1:]
            ]:
                written = statement(script, child, written)
            return written
    if kind == "for_statement":
        _bind_loop(script, node)
    if kind in _LOOPS and _COMES_BACK.search(script.text(node)[:_MAX_LOOP]):
        script.polls += 1
        try:
            return statements(script, node, stdin)
        finally:
            script.polls -= 1
    return statements(script, node, stdin)


def _bind_loop(script: Script, node: tree_sitter.Node) -> None:
    variable = node.child_by_field_name("variable")
    values = [word(script, child) for child in node.children_by_field_name("value")]
    if variable is not None and values:
        script.variables[script.text(variable)] = Word(
            values[0].text if len(values) == 1 else "$" + script.text(variable),
            join(*(path_labels(value.text) for value in values), *(value.labels for value in values)),
        )


def _redirected(script: Script, node: tree_sitter.Node, stdin: Stream | None) -> Stream:
    stream = stdin or Stream()
    here = None
    redirects = []
    for child in node.children:
        if child.type == "heredoc_redirect":
            here = next((part for part in child.children if part.type == "heredoc_body"), None)
            redirects += [part for part in child.children if part.type == "file_redirect"]
            # `cat <<EOF | sh`: the grammar hangs the rest of the pipeline below the redirect.
            tail = [part for part in child.children if part.type in {"pipeline", "command"}]
            if here is not None and tail:
                rest = _here_document(script, here, Stream())
                for part in tail:
                    rest = statement(script, part, rest)
        elif child.type == "file_redirect":
            redirects.append(child)
        elif child.type == "herestring_redirect" and child.named_children:
            given = word(script, child.named_children[-1])
            stream = Stream(given.labels, given.text)
    if here is not None:
        stream = _here_document(script, here, stream)
    for redirect in redirects:
        operator = script.text(redirect.children[0]) if redirect.children else ""
        source = redirect.child_by_field_name("destination")
        if operator.startswith("<") and source is not None:
            given = word(script, source)
            if _DEVICE.search(given.text) and not _LOCAL.search(given.text):
                script.sockets.add(given.text)
                stream = Stream(frozenset({(Source.REMOTE, given.text)}))
            opened = script.written.get(f"&{given.text}" if operator.startswith("<&") else given.text, NO_LABELS)
            stream = Stream(
                join(stream.labels, given.labels, opened, path_labels(given.text)),
                stream.text if given.text == "$()" else None,
            )
    body = node.child_by_field_name("body")
    # The grammar hangs the arguments that follow a redirection below it: `curl > file https://…`.
    script.more_words = [
        word(script, child)
        for redirect in redirects
        for child in redirect.children_by_field_name("destination")[1:]
        if child.type != "number"
    ]
    out = statement(script, body, stream) if body is not None else stream
    for redirect in redirects:
        _redirect_output(script, redirect, out, node)
    return Stream() if any(_is_output(script, redirect) for redirect in redirects) else out


def _redirect_output(script: Script, redirect: tree_sitter.Node, out: Stream, node: tree_sitter.Node) -> None:
    target = redirect.child_by_field_name("destination")
    if target is None or not (_is_output(script, redirect) or _DEVICE.search(script.text(target))):
        return
    path = word(script, target).text
    operator = script.text(redirect).lstrip("0123456789&")
    if _DEVICE.search(path):
        if _LOCAL.search(path):
            return
        body = node.child_by_field_name("body")
        program = (
            base_name(script.text(body).split(maxsplit=1)[0]) if body is not None and script.text(body).strip() else ""
        )
        descriptor = next((script.text(child) for child in redirect.children if child.type == "file_descriptor"), "")
        if descriptor and program == "exec":
            # What is read from the descriptor later is the peer's.
            script.sockets.add(path)
            script.written[f"&{descriptor}"] = frozenset({(Source.REMOTE, path)})
        if program in _GIVES_A_SHELL and not (descriptor and program == "exec" and not _RAW.search(path)):
            script.hit("SIGMA-THREAT-004", path, node)
        script.can(Ability.NETWORK, path, node)
        script.flow(sendable(out.labels), Sink.SEND, path, node)
    elif path not in {"/dev/null", "1", "2", "/dev/stderr", "/dev/stdout"}:
        script.write(path, out, node, appends=operator.startswith(">>"))


def _here_document(script: Script, here: tree_sitter.Node, stream: Stream) -> Stream:
    """The text of a here-document, and where what it substitutes comes from."""
    labels = [word(script, child).labels for child in here.named_children if child.type in _SUBSTITUTIONS]
    return Stream(join(stream.labels, *labels), script.text(here))


def _is_output(script: Script, node: tree_sitter.Node) -> bool:
    """Whether a redirect takes the standard output; ``2>`` takes only the messages."""
    descriptor = next((script.text(child) for child in node.children if child.type == "file_descriptor"), "1")
    return descriptor == "1" and any(script.text(child).startswith((">", "&>")) for child in node.children)
