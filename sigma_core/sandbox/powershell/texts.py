"""Texts and variables of PowerShell."""

from __future__ import annotations

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import Ability, Source, join
from sigma_core.sandbox.powershell.script import Script, Span
from sigma_core.sandbox.shell.values import MAX_TEXT, Word

_IN_TEXT = re2.compile(r"`(.)|\$(?:\{([^}\n]{1,200})\}|((?:env|global|script|local|using):\w+|\w+))")
_PLACE = re2.compile(r"\{(\d{1,3})(?:[,:][^}]{0,20})?\}")
_HOME = frozenset({"home", "env:userprofile", "env:home", "env:homepath"})
_HOST = frozenset({"env:computername", "env:username", "env:userdomain"})


def unquote(text: str) -> Word:
    """A text in single quotes, or a here-string as it stands."""
    if text.startswith("@"):
        return Word(text[2:-2].strip("\r\n"))
    return Word(text[1:-1].replace("''", "'"))


def interpolate(script: Script, text: str) -> Word:
    """A text in double quotes with its variables put in."""
    body, pieces, labels, at = text[1:-1].replace('""', '"'), [], [], 0
    for match in _IN_TEXT.finditer(body):
        pieces.append(body[at : match.start()])
        at = match.end()
        if match.group(1) is not None:
            pieces.append({"n": "\n", "t": "\t", "r": "\r"}.get(match.group(1), match.group(1)))
            continue
        value = variable(script, "$" + (match.group(2) or match.group(3)), (0, 0), quiet=True)
        pieces.append(value.text)
        labels.append(value.labels)
    pieces.append(body[at:])
    return script.within_budget(Word("".join(pieces)[:MAX_TEXT], join(*labels)))


def variable(script: Script, text: str, span: Span, *, quiet: bool = False) -> Word:
    """What ``$name`` stands for."""
    name = text.lstrip("$@").strip("{}").lower().removeprefix("global:").removeprefix("script:").removeprefix("using:")
    known = script.variables.get(name)
    if known is not None:
        return known
    if name in _HOME:
        return Word("~")
    if name in _HOST:
        return Word(text, frozenset({(Source.HOST_DATA, name[4:])}))
    if name.startswith("env:"):
        if not quiet:
            script.can(Ability.ENVIRONMENT, name[4:].upper(), span)
        plain = name[4:].upper()
        return Word(
            text, frozenset({(Source.SECRET_VARIABLE, plain)}) if vocabulary.secret_variable(plain) else frozenset()
        )
    return Word(text)


def format_text(operator: str, left: Word, right: Word) -> Word:
    """``-f``, ``-join``, ``-replace``, ``-split``; any other operator keeps where its operands came from."""
    labels = join(left.labels, right.labels)
    values = [item.text for item in right.items] or [right.text]
    if operator == "-f":
        pieces = _PLACE.sub(
            lambda match: values[int(match.group(1))] if int(match.group(1)) < len(values) else "", left.text
        )
        return Word(str(pieces)[:MAX_TEXT], labels, True)
    if operator == "-join":
        listed = left if left.items or left.text else right
        separator = right.text if listed is left else ""
        return Word(
            separator.join(item.text for item in listed.items)[:MAX_TEXT] if listed.items else listed.text, labels, True
        )
    if operator in {"-replace", "-creplace", "-ireplace"} and values and values[0]:
        if not any(character in values[0] for character in "\\.*+?[](){}^$|"):
            return Word(left.text.replace(values[0], values[1] if len(values) > 1 else "")[:MAX_TEXT], labels, True)
        return Word(left.text, labels, True)
    if operator in {"-split", "-csplit"} and right.text and left.text:
        items = tuple(Word(piece, left.labels) for piece in left.text.split(right.text)[:256])
        return Word(left.text, labels, items=items)
    return Word("", labels)
