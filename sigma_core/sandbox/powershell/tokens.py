"""PowerShell text as tokens: one linear pass, brackets matched."""

from __future__ import annotations

from dataclasses import dataclass

import re2

_TOKEN = re2.compile(
    r"(?is)(?P<comment><#.*?#>|#[^\n]*)"
    r"|(?P<here>@'[ \t]*\r?\n.*?\n'@|@\"[ \t]*\r?\n.*?\n\"@)"
    r"|(?P<single>'(?:[^']|'')*')"
    r"|(?P<double>\"(?:[^\"`]|`.|\"\")*\")"
    r"|(?P<join>`\r?\n)"
    r"|(?P<line>\r?\n)"
    r"|(?P<blank>[ \t]+)"
    r"|(?P<variable>\$(?:\{[^}\n]{1,200}\}|(?:env|global|script|local|using|private):\w+|\w+|[?^$_])|@\w+)"
    r"|(?P<type>\[[A-Za-z][\w.,\[\] ]{0,120}\](?:::)?)"
    r"|(?P<open>[$@]?\(|@?\{|\[)"
    r"|(?P<close>[)}\]])"
    r"|(?P<stop>;|&&|\|\|)"
    r"|(?P<pipe>\|)"
    r"|(?P<redirect>[0-9*]?>>?(?:&[0-9])?)"
    r"|(?P<assign>\+?=)"
    r"|(?P<comma>,)"
    r"|(?P<plus>\+)"
    r"|(?P<member>::|\.)"
    r"|(?P<option>-[A-Za-z]\w*:?)"
    r"|(?P<call>&)"
    r"|(?P<word>(?:[^\s'\"`$@(){}\[\];|>&,=+.#-]|`[^\n])(?:[^\s'\"`$(){}\[\];|>&,+=]|`[^\n])*)"
    r"|(?P<other>.)"
)
_PAIRS = {")": "(", "}": "{", "]": "["}


@dataclass(frozen=True, slots=True)
class Token:
    """One token; ``mate`` is the number of the bracket that closes an opening one, or of the end of the text."""

    kind: str
    text: str
    start: int
    end: int
    spaced: bool
    mate: int = -1


def tokens_of(text: str) -> list[Token]:
    """The tokens of ``text`` without blanks and comments; ``spaced`` says whether a blank stood before."""
    found: list[Token] = []
    spaced = True
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "comment" and match.group().startswith("#") and not spaced:
            kind = "word"
        if kind in {"blank", "comment", "join"}:
            spaced = True
            continue
        found.append(Token(kind, match.group(), match.start(), match.end(), spaced))
        spaced = kind in {"line", "stop", "pipe", "open"}
    mates: dict[int, int] = {}
    opened: list[int] = []
    for at, token in enumerate(found):
        if token.kind == "open":
            opened.append(at)
        elif token.kind == "close" and opened and found[opened[-1]].text[-1] == _PAIRS[token.text]:
            mates[opened.pop()] = at
    for at in opened:
        mates[at] = len(found)
    return [
        token
        if token.kind != "open"
        else Token(token.kind, token.text, token.start, token.end, token.spaced, mates[at])
        for at, token in enumerate(found)
    ]
