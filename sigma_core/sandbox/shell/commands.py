"""One command: its words, what it is once they are resolved, and who reads what it does."""

from __future__ import annotations

from collections.abc import Callable

import re2
import tree_sitter

from sigma_core.sandbox.observations import Sink, Source, join, only
from sigma_core.sandbox.shell.assignments import assign
from sigma_core.sandbox.shell.credentials import CREDENTIALS
from sigma_core.sandbox.shell.decoding import DECODERS
from sigma_core.sandbox.shell.fetching import FETCHERS, fetch
from sigma_core.sandbox.shell.functions import call_function
from sigma_core.sandbox.shell.interpreters import INTERPRETERS, interpret
from sigma_core.sandbox.shell.machine import MACHINE
from sigma_core.sandbox.shell.programs import ordinary
from sigma_core.sandbox.shell.script import Script
from sigma_core.sandbox.shell.transfers import TRANSFERS
from sigma_core.sandbox.shell.values import Call, Stream, Word, base_name
from sigma_core.sandbox.shell.words import word
from sigma_core.sandbox.shell.wrappers import WRAPPERS, find_commands, unwrap
from sigma_core.sandbox.vocabulary import name_set

MAX_WORDS = 4_096
"""Words of one command that are kept apart."""

_AGENTS = name_set("claude codex gemini openclaw clawdbot moltbot cursor-agent opencode aider goose amp copilot")
"""Agents on the command line: what they are told is an instruction like any other."""
_PROMPT_WORDS = 4
_UNASKED = name_set(
    "--dangerously-skip-permissions --yolo --full-auto --dangerously-bypass-approvals-and-sandbox --allow-all-tools"
)
"""Options with which an agent does what it is told without asking anybody."""
_WORTH_HIDING = FETCHERS | INTERPRETERS | name_set("base64 nc ncat netcat socat")
_WILD_PATH = re2.compile(r"^/[\w/?*\[\]-]*\?[\w/?*\[\]-]*$")
"""``/???/c?t``: a command that is written in wildcards."""
_READERS: dict[str, Callable[[Script, Call], Stream | None]] = {
    **MACHINE,
    **DECODERS,
    **TRANSFERS,
    **dict.fromkeys(FETCHERS, fetch),
    **dict.fromkeys(INTERPRETERS, interpret),
}


def command(script: Script, node: tree_sitter.Node, stdin: Stream) -> Stream:
    """Read a command of the syntax tree; the result is what it writes."""
    words: list[Word] = []
    more, script.more_words = script.more_words, []
    for child in node.children:
        if child.type == "variable_assignment":
            assign(script, child)
        elif child.type == "herestring_redirect" and child.named_children:
            given = word(script, child.named_children[-1])
            stdin = Stream(given.labels, given.text)
        elif child.type == "number" and script.piece.data[child.end_byte : child.end_byte + 1] in {b"<", b">"}:
            continue  # the grammar takes the descriptor of a redirection for an argument
        elif child.is_named and child.type not in {"comment", "file_redirect", "heredoc_redirect"}:
            resolved = word(script, child)
            words += resolved.items or (resolved,)
    return run_words(script, [*words, *more][:MAX_WORDS], stdin, node)


def run_words(script: Script, words: list[Word], stdin: Stream, node: tree_sitter.Node) -> Stream:
    """Run the command that resolved ``words`` make."""
    if not words:
        return Stream()
    # A variable or string that holds a whole command line.
    if " " in words[0].text and words[0].built:
        script.embed("built-command", "shell", " ".join(word.text for word in words), node)
        words = [Word(piece, words[0].labels, True) for piece in words[0].text.split()] + words[1:]
        if not words:
            return Stream()
    if words[0].text in script.aliases:
        words = script.aliases[words[0].text] + words[1:]
    if words[0].text[:1] == "$" and words[0].text[1:].isidentifier():
        script.flow(only(words[0].labels, Source.REMOTE), Sink.EXECUTE, words[0].text, node)
    while len(words) > 1 and base_name(words[0].text) in WRAPPERS:
        words = unwrap(words, stdin)
    if not words:
        return Stream(frozenset({(Source.ENVIRONMENT, "env")}))
    name = base_name(words[0].text)
    if name in _AGENTS:
        for word in words[1:]:
            if word.text.count(" ") >= _PROMPT_WORDS:
                script.embed("agent-prompt", "markdown", word.text, node)
        told = join(*(word.labels for word in words[1:]))
        script.flow(only(told, Source.REMOTE), Sink.AGENT_FILE, name, node)
        if any(word.text in _UNASKED or word.text.endswith("bypassPermissions") for word in words[1:]):
            script.flow(only(join(told, stdin.labels), Source.REMOTE), Sink.EXECUTE, name, node)
    if _WILD_PATH.search(words[0].text):
        script.hit("SIGMA-OBF-010", words[0].text, node)
    if words[0].built and name in _WORTH_HIDING:
        script.hit("SIGMA-OBF-010", name, node)
        script.embed("built-command", "shell", " ".join(_requote(word.text) for word in words), node)
    return script.run(Call(name, words[0].text, words[1:], stdin, node))


def run(script: Script, call: Call) -> Stream:
    """What a resolved command does; the result is what it writes."""
    defined = call_function(script, call)
    if defined is not None:
        return defined
    readers = (CREDENTIALS.get(call.name), _READERS.get(call.name), ordinary)
    written = next(out for reader in readers if reader is not None and (out := reader(script, call)) is not None)
    if call.name == "find":
        for line in find_commands(call.arguments, written):
            run_words(script, line, written, call.node)
    return written


def _requote(text: str) -> str:
    plain = text and not any(character in text for character in " '\"$;&|<>()`")
    return text if plain else "'" + text.replace("'", "") + "'"
