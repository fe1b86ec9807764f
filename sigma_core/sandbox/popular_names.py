"""Names that imitate well-known packages: one or two slips away, other separators, look-alike characters, words in another order, a luring affix.

The lists in ``names/`` hold the most downloaded names of each registry in order, then real packages that happen to look like one of them, so that no
honest package is taken for an imitation. Distance is Damerau-Levenshtein in its optimal string alignment form: insertion, deletion, substitution, swap of neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path

import re2

NAMES_FOLDER = Path(__file__).with_name("names")
VERY_POPULAR = 1_000
"""Rank down to which a name is very popular."""
MIN_LENGTH = 5
"""Shorter names are near one another by chance."""
MIN_LENGTH_TWO_EDITS = 9
MIN_LENGTH_LETTER_LEFT_OUT = 7
MAX_LENGTH = 80
_MIN_EXTENDED = 3

_SEPARATORS = re2.compile(r"[-_.]+")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"
_SQUEEZE = str.maketrans("", "", "-_./@")
_LOOKS_LIKE = str.maketrans("0153!", "olsel")
_LURES = "official|original|real|genuine|secure|safe|patched|fixed|hotfix|updated|latest|new|pro|premium|free|cracked|unlocked|stable|verified"
_LURED = re2.compile(rf"^(?:(?:{_LURES})-)?(.+?)(?:-(?:{_LURES}))?$")


class Registry(StrEnum):
    """Where names come from: a package registry, the public skills that everyone knows, or products and publishers."""

    PYPI = "pypi"
    NPM = "npm"
    SKILLS = "skills"
    MAKERS = "makers"


class Slip(StrEnum):
    """How a name differs from the one that it looks like."""

    ONE_EDIT = "one edit"
    TWO_EDITS = "two edits"
    SEPARATORS = "other separators"
    LOOK_ALIKE = "look-alike characters"
    ORDER = "words in another order"
    LURE = "luring affix"


@dataclass(frozen=True, slots=True)
class Imitation:
    """``popular`` is the well-known name, ``rank`` its place among the most downloaded, from 0."""

    popular: str
    rank: int
    slip: Slip

    @property
    def very_popular(self) -> bool:
        """Whether an attacker would choose this name first."""
        return self.rank < VERY_POPULAR


def normalised(registry: Registry, name: str) -> str:
    """``name`` as its registry compares it (PyPI, and skills after it: PEP 503)."""
    return name.lower() if registry is Registry.NPM else _SEPARATORS.sub("-", name.lower())


def is_listed(registry: Registry, name: str) -> bool:
    """Whether a list of ``registry`` has ``name``: as a well-known package or as a real one."""
    names = _names(registry)
    name = normalised(registry, name)
    return name in names.rank or name in names.real


def is_popular(registry: Registry, name: str) -> bool:
    """Whether ``name`` is one of the most downloaded of ``registry``."""
    return normalised(registry, name) in _names(registry).rank


def extends(name: str, popular: str) -> bool:
    """Whether ``name`` is ``popular`` with words before or behind it, set off by hyphens: underscores are for names in code."""
    name, popular = name.lower(), popular.lower()
    return len(popular) >= _MIN_EXTENDED and (name.startswith(popular + "-") or name.endswith("-" + popular))


@lru_cache(maxsize=4_096)
def imitation_of(registry: Registry, name: str) -> Imitation | None:
    """The well-known package that ``name`` looks like without being a known real package itself, or None."""
    name = normalised(registry, name)
    names = _names(registry)
    if name in names.rank or name in names.real or not MIN_LENGTH <= len(name) <= MAX_LENGTH or not name.isascii():
        return None
    found = [
        Imitation(popular, names.rank[popular], slip)
        for popular, slip in _candidates(names, name)
        if len(popular) >= MIN_LENGTH
    ]
    return min(found, key=lambda one: (list(Slip).index(one.slip), one.rank), default=None)


@lru_cache(maxsize=4_096)
def misspelt_maker(word: str) -> str:
    """The product or publisher whose name ``word`` misspells as a hand would (letters swapped, doubled, left out, written by ear or by look), or empty.

    A letter put before or behind a name makes another name of it (``ipython``, ``cloudflared``), and another letter in it another word.
    """
    names = _names(Registry.MAKERS)
    if not MIN_LENGTH <= len(word) <= MAX_LENGTH or not word.isascii():
        return ""
    if any(is_listed(registry, word) for registry in Registry):
        return ""
    for meant in _hand_slips_undone(word):
        if meant in names.rank:
            return meant
    return names.by_look.get(_look(word)) or names.by_sound.get(_sound(word)) or ""


def _hand_slips_undone(word: str) -> Iterator[str]:
    for at in range(1, len(word)):
        if word[at] == word[at - 1]:
            yield word[:at] + word[at + 1 :]
        else:
            yield word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
        yield word[:at] + word[at - 1] + word[at:]
    if len(word) >= MIN_LENGTH_LETTER_LEFT_OUT:
        for at in range(2, len(word)):
            for letter in _LETTERS:
                yield word[:at] + letter + word[at:]


def _candidates(names: _Names, name: str) -> Iterator[tuple[str, Slip]]:
    for edited in one_edit_away(name):
        if edited in names.rank:
            yield edited, Slip.ONE_EDIT
    if popular := names.by_squeezed.get(name.translate(_SQUEEZE)):
        yield popular, Slip.SEPARATORS
    if popular := names.by_look.get(_look(name)):
        yield popular, Slip.LOOK_ALIKE
    if "-" in name and (popular := names.by_words.get("-".join(sorted(name.split("-"))))):
        yield popular, Slip.ORDER
    lured = _LURED.match(name)
    if lured is not None and lured[1] != name and names.rank.get(lured[1], VERY_POPULAR) < VERY_POPULAR:
        yield lured[1], Slip.LURE
    if len(name) >= MIN_LENGTH_TWO_EDITS:
        for popular in names.long_by_ends.get(name[0] + name[-1], ()):
            if abs(len(popular) - len(name)) <= 2 and distance(name, popular, 2) == 2:
                yield popular, Slip.TWO_EDITS


def one_edit_away(name: str) -> Iterator[str]:
    """Every text of registry characters that is one edit away from ``name``."""
    for at in range(len(name) + 1):
        head, tail = name[:at], name[at:]
        for letter in _LETTERS:
            yield head + letter + tail
        if tail:
            yield head + tail[1:]
            for letter in _LETTERS:
                yield head + letter + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]


def distance(one: str, other: str, limit: int) -> int:
    """Damerau-Levenshtein distance (optimal string alignment), or ``limit + 1`` where it is larger."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, character in enumerate(one, 1):
        last, row, older = row, [at], before
        for place, counterpart in enumerate(other, 1):
            cost = min(row[-1] + 1, last[place] + 1, last[place - 1] + (character != counterpart))
            if at > 1 and place > 1 and character == other[place - 2] and one[at - 2] == counterpart:
                cost = min(cost, older[place - 2] + 1)
            row.append(cost)
        before = last
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)


def _look(name: str) -> str:
    return name.translate(_LOOKS_LIKE).replace("rn", "m").replace("vv", "w").replace("cl", "d")


def _sound(name: str) -> str:
    return name.replace("ight", "ite").replace("ph", "f").replace("ck", "k").replace("y", "i")


class _Names:
    """The lists of one registry; what only imitations need is built on first use."""

    def __init__(self, registry: Registry) -> None:
        text = (NAMES_FOLDER / f"{registry.value}.txt").read_text(encoding="ascii")
        popular, _, real = text.partition("\n\n")
        listed = [line for line in popular.split("\n") if line and not line.startswith("#")]
        self.rank = {name: rank for rank, name in enumerate(listed)}
        self.real = frozenset(line for line in real.split("\n") if line and not line.startswith("#"))

    # Of several names with one form the most downloaded counts: it comes last in the reversed order.

    @cached_property
    def by_squeezed(self) -> dict[str, str]:
        return {name.translate(_SQUEEZE): name for name in reversed(self.rank)}

    @cached_property
    def by_look(self) -> dict[str, str]:
        return {_look(name): name for name in reversed(self.rank)}

    @cached_property
    def by_sound(self) -> dict[str, str]:
        return {_sound(name): name for name in reversed(self.rank)}

    @cached_property
    def by_words(self) -> dict[str, str]:
        return {"-".join(sorted(name.split("-"))): name for name in reversed(self.rank) if "-" in name}

    @cached_property
    def long_by_ends(self) -> dict[str, list[str]]:
        """Long very popular names by first and last letter: where two slips are more than chance."""
        found: dict[str, list[str]] = {}
        for name, rank in self.rank.items():
            if rank < VERY_POPULAR and len(name) >= MIN_LENGTH_TWO_EDITS:
                found.setdefault(name[0] + name[-1], []).append(name)
        return found


@lru_cache(maxsize=len(Registry))
def _names(registry: Registry) -> _Names:
    return _Names(registry)
