"""Assignments: what a variable holds from here on."""

from __future__ import annotations

import tree_sitter

from sigma_core.sandbox.observations import Ability, Sink, Source, join, only
from sigma_core.sandbox.shell.script import Script
from sigma_core.sandbox.shell.values import MAX_TEXT, Word
from sigma_core.sandbox.shell.words import word

_RUN = frozenset({"PROMPT_COMMAND", "BASH_ENV", "ENV", "LD_PRELOAD", "GIT_SSH_COMMAND", "PYTHONSTARTUP"})
"""Variables whose value, or the file that they name, is run."""
MAX_ITEMS = 256
"""Words that one array keeps."""


def assign(script: Script, node: tree_sitter.Node) -> None:
    """``name=value`` and ``name+=value``."""
    name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if name is None:
        return
    key = script.text(name)
    if value is None:
        script.variables[key] = Word("")
        return
    given = _array(script, value) if value.type == "array" else word(script, value)
    before = script.variables.get(key)
    if script.text(node)[: len(key) + 2] == f"{key}+=" and before is not None:
        given = script.within_budget(
            Word(
                (before.text + (" " if given.items else "") + given.text)[:MAX_TEXT],
                join(before.labels, given.labels),
                not given.items,
                (before.items + given.items)[:MAX_ITEMS],
            )
        )
    script.variables[key] = given
    if key in _RUN:
        run = join(given.labels, script.origin_of(given.text))
        script.flow(only(run, Source.REMOTE, Source.DECODED), Sink.EXECUTE, key, node)
    if key in {"LD_PRELOAD", "PROMPT_COMMAND"}:
        script.can(Ability.PERSISTENCE, key, node)
        if key == "PROMPT_COMMAND" and given.text:
            script.embed("command", "shell", given.text, node)


def _array(script: Script, node: tree_sitter.Node) -> Word:
    items = tuple(word(script, child) for child in node.named_children[:MAX_ITEMS] if child.type != "comment")
    text = " ".join(item.text for item in items)[:MAX_TEXT]
    return Word(text, join(*(item.labels for item in items)), items=items)
