"""The runs of letters and digits that a pattern cannot match without, read off the pattern; and the words of a text, to look them up in.

Most patterns find nothing in most texts: a look at the text's different words, a tenth of its length, says so for less than a search does.
"""

from __future__ import annotations

LEAST = 3
"""Characters of a run below which it tells nothing."""
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_SEPARATED = bytes(ord(chr(byte).lower()) if chr(byte) in _WORD else 32 for byte in range(256))
# What RE2 takes for an ASCII letter when case does not matter.
_FOLDED = str.maketrans({"\u017f": "s", "\u212a": "k"})

Required = tuple[frozenset[bytes], ...]
"""Of each set, at least one run is in whatever matches."""


def words_of(text: str) -> bytes:
    """The different words of ``text``, in lower case, with blanks between them."""
    if not text.isascii():
        text = text.translate(_FOLDED)
    return b" ".join(set(text.encode("utf-8", "surrogatepass").translate(_SEPARATED).split()))


def required_words(pattern: str) -> Required:
    """What every match of ``pattern`` (RE2 syntax) holds. What is not understood requires nothing."""
    return _Pattern(pattern).alternatives()


class _Pattern:
    """One pass over a pattern."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def alternatives(self) -> Required:
        """``a|b|c`` up to the end of the group: one of them matches, so one run of each is required."""
        branches = [self._branch()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._branch())
        if len(branches) == 1:
            return branches[0]
        if not all(branches):
            return ()
        # Of what a branch requires, the set whose shortest run is the longest tells most.
        return (frozenset().union(*(max(branch, key=lambda runs: (min(map(len, runs)), sorted(runs))) for branch in branches)),)  # fmt: skip

    def _branch(self) -> Required:
        found: list[frozenset[bytes]] = []
        run = ""
        while (character := self._peek()) not in {"", "|", ")"}:
            inner: Required = ()
            letter = ""
            self._at += 1
            if character == "(":
                inner = self._group()
            elif character == "[":
                self._class()
            elif character == "\\":
                self._escape()
            elif character in _WORD:
                letter = character.lower()
            least, exactly_once = self._repeated()
            if letter and least:
                run += letter
            if not letter or not exactly_once:
                found += [frozenset({run.encode()})] if len(run) >= LEAST else []
                run = ""
            if least:
                found += inner
        return (*found, frozenset({run.encode()})) if len(run) >= LEAST else tuple(found)

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _group(self) -> Required:
        if self._pattern.startswith("?", self._at):
            while self._peek() not in {":", ">", ")", ""}:
                self._at += 1
            if self._peek() == ")":
                self._at += 1
                return ()
            self._at += 1
        inner = self.alternatives()
        self._at += 1
        return inner

    def _class(self) -> None:
        if self._peek() == "^":
            self._at += 1
        if self._peek() == "]":
            self._at += 1
        while self._peek() not in {"]", ""}:
            named = self._pattern.startswith("[:", self._at)
            if named:
                self._at = self._pattern.find(":]", self._at) + 2
            else:
                self._at += 2 if self._peek() == "\\" else 1
        self._at += 1

    def _escape(self) -> None:
        letter = self._peek()
        self._at += 1
        if letter in {"x", "p", "P"}:
            braced = self._peek() == "{"
            self._at = self._pattern.find("}", self._at) + 1 if braced else self._at + (2 if letter == "x" else 1)

    def _repeated(self) -> tuple[bool, bool]:
        """Whether what stands before is in every match, and whether it is there once and no more."""
        mark = self._peek()
        if mark == "{":
            end = self._pattern.find("}", self._at)
            least = self._pattern[self._at + 1 : end].partition(",")[0] not in {"", "0"}
            self._at = end + 1
        elif mark and mark in "?*+":
            least = mark == "+"
            self._at += 1
        else:
            return True, True
        if self._peek() == "?":
            self._at += 1
        return least, False
