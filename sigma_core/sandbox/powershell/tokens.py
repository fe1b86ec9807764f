"""PowerShell text as tokens: one linear pass, brackets matched."""

from __future__ import annotations

from dataclasses import dataclass

import re2

_TOKEN = re2.compile(
    rb"(?is)(?P<comment>#[^\n]*)|(?P<opener><#|@'[ \t]*\r?\n|@\"[ \t]*\r?\n|'|\")|(?P<join>`\r?\n)|(?P<line>\r?\n)|(?P<blank>[ \t]+)"
    rb"|(?P<variable>\$(?:\{[\w:() -]{1,80}\}|(?:env|global|script|local|using|private):\w+|\w+|[?^$_])|@\w+)"
    rb"|(?P<type>\[[A-Z][\w.,\[\] ]{0,80}\](?:::)?)"
    rb"|(?P<open>[$@]?\(|@?\{|\[)|(?P<close>[)}\]])|(?P<stop>;|&&|\|\|)|(?P<pipe>\|)|(?P<redirect>[0-9*]?>>?(?:&[0-9])?)|(?P<assign>\+?=)"
    rb"|(?P<comma>,)|(?P<plus>\+)|(?P<member>::|\.)|(?P<option>-[A-Z]\w*:?)|(?P<call>&)"
    rb"|(?P<word>(?:[^\s'\"`$@(){}\[\];|>&,=+.#-]|`[^\n])(?:[^\s'\"`$(){}\[\];|>&,+=]|`[^\n])*)"
    rb"|(?P<other>.)"
)
_KINDS = {number: name.decode() for name, number in _TOKEN.groupindex.items()}
_DOUBLE = re2.compile(rb"(?s)(?:[^\"`]|`.|\"\")*\"")
_SINGLE = re2.compile(rb"(?:[^']|'')*'")
_CLOSERS = {b"<": b"#>", b"@'": b"\n'@", b'@"': b'\n"@'}
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
    # One byte a character, whatever its alphabet: a search that starts in the middle then costs nothing more.
    data = text.encode("ascii", "replace")
    found: list[Token] = []
    unclosed: set[bytes] = set()
    at, spaced = 0, True
    while at < len(data):
        match = _TOKEN.match(data, at)
        kind, start, at = _KINDS[match.lastindex], match.start(), match.end()
        if kind == "opener":
            kind, at = _quoted(data, match.group(), at, unclosed)
        if kind == "comment" and data[start] == ord("#") and not spaced:
            kind = "word"
        if kind in {"blank", "comment", "join"}:
            spaced = True
            continue
        found.append(Token(kind, text[start:at], start, at, spaced))
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


def _quoted(data: bytes, opener: bytes, at: int, unclosed: set[bytes]) -> tuple[str, int]:
    """The kind and the end of what ``opener`` opens; one that nothing closes is a character like any other, as are all after it."""
    mark = opener[:2] if opener[:1] == b"@" else opener[:1]
    if mark in unclosed:
        return "other", at
    if mark in _CLOSERS:
        # The line end before a closing mark may be the one that ends the opening.
        found = data.find(_CLOSERS[mark], at - 1 if mark != b"<" else at)
        if found >= 0:
            return "comment" if mark == b"<" else "here", found + len(_CLOSERS[mark])
    else:
        match = (_DOUBLE if mark == b'"' else _SINGLE).match(data, at)
        if match is not None:
            return "double" if mark == b'"' else "single", match.end()
    unclosed.add(mark)
    return "other", at
