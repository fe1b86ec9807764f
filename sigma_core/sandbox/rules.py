"""Rules as data: the packs in ``rules/*.toml``, checked and expanded once, with one hash over all of them, and compiled when a text first needs them.

Patterns run one by one, not as one `re2.Set`: a set's automaton that outgrows its memory answers "no match" without a word, which a hostile text could bring about; a single pattern falls
back to a slower, still linear, search.
"""

from __future__ import annotations

import tomllib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import re2

from sigma_core.canonical import sha256_of
from sigma_core.errors import SigmaError
from sigma_core.sandbox.facts import FactKind, Severity, SignalKind
from sigma_core.sandbox.instructions import FrameBook, FrameError
from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.required_words import Required, required_words, words_of
from sigma_core.sandbox.wording import Model, load_model

RULES_FOLDER = Path(__file__).with_name("rules")
SURFACES = frozenset({"prose", "comment", "link", "command", "code", "config"})
KEPT_AUTOMATA = 224
"""Compiled patterns that are kept from one package to the next. A published skill uses 112 at the median and 285 at most; all of them, grown, take 26 MB."""
_REQUIRED = (
    "id",
    "title",
    "kind",
    "category",
    "severity",
    "confidence_ppm",
    "weight",
    "owasp",
    "atlas",
    "rationale",
    "fix",
    "surfaces",
    "positive",
    "negative",
)


class RulePackError(SigmaError):
    """A rule pack that breaks its own form; names the rule and the field."""

    code = "RULE_PACK_INVALID"


@dataclass(frozen=True, slots=True)
class Example:
    """A file that the rule must report (or must not), put into a small package."""

    path: str
    text: str
    utf16: bool = False


@dataclass(frozen=True)
class Rule:
    """One rule. ``blocks`` is the signal that a use of it raises, or None; ``weight`` is points of the risk model."""

    id: str
    title: str
    kind: FactKind
    category: str
    severity: Severity
    confidence_ppm: int
    weight: int
    blocks: SignalKind | None
    owasp: str
    atlas: str
    rationale: str
    fix: str
    surfaces: frozenset[str]
    patterns: tuple[str, ...]
    frames: tuple[str, ...]
    positive: tuple[Example, ...] = field(repr=False)
    negative: tuple[Example, ...] = field(repr=False)

    @cached_property
    def searches(self) -> tuple[_Search, ...]:
        """The patterns, each with the words and parts that a match needs."""
        return tuple(_Search(self, pattern, required_words(pattern), _parts(pattern)) for pattern in self.patterns)


@dataclass(frozen=True)
class RuleBook:
    """All rules by id, the frames and the model of wording that some of them stand on, and the hash of everything that
    shaped them."""

    rules: Mapping[str, Rule]
    frames: FrameBook
    wording: Model
    sha256: str

    def __getitem__(self, rule_id: str) -> Rule:
        return self.rules[rule_id]

    @cached_property
    def _by_surface(self) -> Mapping[str, tuple[_Search, ...]]:
        ordered = sorted(self.rules.values(), key=lambda rule: rule.id)
        return {
            surface: tuple(search for rule in ordered if surface in rule.surfaces for search in rule.searches)
            for surface in sorted(SURFACES)
        }

    def compile(self) -> None:
        """Compile every pattern now: for a process that others are forked from."""
        for rule in self.rules.values():
            for search in rule.searches:
                for pattern in (search.pattern, *search.parts):
                    _compiled(pattern)

    def possible(self, text: str) -> Possible:
        """Which patterns can match somewhere in ``text`` at all: each part between the gaps of a pattern must occur."""
        return Possible(self._by_surface, text)


class Possible:
    """The patterns that one text leaves possible; decided lazily, each part searched for once."""

    def __init__(self, by_surface: Mapping[str, tuple[_Search, ...]], text: str) -> None:
        self._by_surface = by_surface
        self._text = text.encode("utf-8", "surrogatepass").translate(_ONE_LINE)
        self._words = words_of(text)
        self._holds: dict[frozenset[bytes], bool] = {}
        self._occurs: dict[str, bool] = {}
        self._kept: dict[str, tuple[_Search, ...]] = {}

    def _has(self, part: str) -> bool:
        known = self._occurs.get(part)
        if known is None:
            known = self._occurs[part] = _compiled(part).search(self._text) is not None
        return known

    def _names(self, runs: frozenset[bytes]) -> bool:
        known = self._holds.get(runs)
        if known is None:
            known = self._holds[runs] = any(run in self._words for run in runs)
        return known

    def _can(self, search: _Search) -> bool:
        return all(map(self._names, search.words)) and all(map(self._has, search.parts))

    def matches(self, surface: str, text: str) -> list[tuple[Rule, int, int]]:
        """``(rule, start, end)`` of every match of ``surface``'s patterns in ``text``, a stretch of the text asked about, in order of rule and place."""
        kept = self._kept.get(surface)
        if kept is None:
            kept = self._kept[surface] = tuple(filter(self._can, self._by_surface[surface]))
        return [(search.rule, *match.span()) for search in kept for match in _compiled(search.pattern).finditer(text)]


@dataclass(frozen=True, slots=True)
class _Search:
    rule: Rule
    pattern: str
    words: Required
    parts: tuple[str, ...]


_ONE_LINE = bytes.maketrans(b"\n\r\t", b"   ")
_GAP = re2.compile(r"(?:\.|\[\^\\n\])\{\d+,\d+\}")


_automata: OrderedDict[str, Any] = OrderedDict()
"""Compiled patterns and parts, the one that was used last at the end. Most patterns are their own only part, so one serves as both."""


def _compiled(pattern: str) -> Any:
    automaton = _automata[pattern] = _automata.pop(pattern, None) or linear_pattern(pattern)
    return automaton


def release_automata() -> None:
    """Let go of the automata that were used longest ago, all but `KEPT_AUTOMATA`. Called between packages, so that no package can have a pattern compiled twice."""
    while len(_automata) > KEPT_AUTOMATA:
        _automata.popitem(last=False)


def _parts(pattern: str) -> tuple[str, ...]:
    """``pattern`` cut at its top-level gaps (``.{m,n}``): a match needs every part, so a text without one of them is done with.

    A pattern whose top level is an alternation has no such parts; it is its own only part.
    """
    flags = pattern[: pattern.index(")") + 1] if pattern.startswith("(?i") else ""
    body = pattern[len(flags) :]
    depth, at, start, parts = 0, 0, 0, []
    in_class = False
    while at < len(body):
        character = body[at]
        if character == "\\":
            at += 2
            continue
        if in_class:
            in_class = character != "]"
        elif depth == 0 and (gap := _GAP.match(body, at)) is not None:
            parts.append(body[start:at])
            at = start = gap.end()
            continue
        elif character == "[":
            in_class = True
            if body[at + 1 : at + 2] == "^":
                at += 1
            if body[at + 1 : at + 2] == "]":
                at += 1
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "|" and depth == 0:
            return (pattern,)
        at += 1
    parts.append(body[start:])
    return tuple(flags + part for part in parts if part)


def _expand(pattern: str, words: Mapping[str, str]) -> str:
    for name, alternatives in words.items():
        pattern = pattern.replace(f"<{name}>", alternatives)
    return pattern


def _rule(raw: Mapping[str, Any], words: Mapping[str, str]) -> Rule:
    name = raw.get("id", "?")
    missing = [key for key in _REQUIRED if key not in raw]
    if missing:
        raise RulePackError(f"rule {name}: missing {', '.join(missing)}")
    unknown = set(raw["surfaces"]) - SURFACES
    if unknown:
        raise RulePackError(f"rule {name}: unknown surface {sorted(unknown)[0]}")
    return Rule(
        id=raw["id"],
        title=raw["title"],
        kind=FactKind(raw["kind"]),
        category=raw["category"],
        severity=Severity(raw["severity"]),
        confidence_ppm=raw["confidence_ppm"],
        weight=raw["weight"],
        blocks=SignalKind(raw["blocks"]) if raw.get("blocks") else None,
        owasp=raw["owasp"],
        atlas=raw["atlas"],
        rationale=raw["rationale"],
        fix=raw["fix"],
        surfaces=frozenset(raw["surfaces"]) if raw.get("patterns") else frozenset(),
        frames=tuple(raw.get("frames", ())),
        patterns=tuple(_expand(_expand(pattern, words), words) for pattern in raw.get("patterns", ())),
        positive=tuple(Example(**example) for example in raw["positive"]),
        negative=tuple(Example(**example) for example in raw["negative"]),
    )


@lru_cache(maxsize=1)
def load_rules() -> RuleBook:
    """The rule book. Raises RulePackError for a pack that breaks its form or names a rule twice."""
    rules: dict[str, Rule] = {}
    terms: dict[str, str] = {}
    frames: list[tuple[str, str, int]] = []
    exceptions: dict[str, str] = {}
    documents = []
    for path in sorted(RULES_FOLDER.glob("*.toml")):
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        documents.append(document)
        defaults = {key: value for key, value in document["pack"].items() if key not in {"name", "version"}}
        for raw in document["rule"]:
            rule = _rule(defaults | raw, document["words"])
            if rule.id in rules:
                raise RulePackError(f"rule {rule.id} stands twice")
            rules[rule.id] = rule
            frames += [(rule.id, line, raw.get("span", 1)) for line in rule.frames]
            _ = rule.searches
        terms |= {name: "|".join(alternatives) for name, alternatives in document.get("terms", {}).items()}
        exceptions |= {name: "|".join(alternatives) for name, alternatives in document.get("exceptions", {}).items()}
    try:
        wording = load_model()
        book = FrameBook(terms, frames, exceptions)
        return RuleBook(rules, book, wording, sha256_of([*documents, wording.revision]))
    except FrameError as error:
        raise RulePackError(str(error)) from error
