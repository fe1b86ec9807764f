"""Rules as data: the packs in ``rules/*.toml``, checked, expanded and compiled once, with one hash over all of them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import re2

from sigma_core.canonical import sha256_of
from sigma_core.errors import SigmaError
from sigma_core.sandbox.facts import FactKind, Severity, SignalKind

RULES_FOLDER = Path(__file__).with_name("rules")
SURFACES = frozenset({"prose", "comment", "link", "command", "code", "config"})
_REQUIRED = ("id", "title", "kind", "category", "severity", "confidence_ppm", "weight", "owasp", "atlas", "rationale", "fix", "surfaces", "positive", "negative")


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
    positive: tuple[Example, ...] = field(repr=False)
    negative: tuple[Example, ...] = field(repr=False)

    @cached_property
    def compiled(self) -> tuple[Any, ...]:
        """The patterns, compiled by google-re2."""
        return tuple(re2.compile(pattern) for pattern in self.patterns)


@dataclass(frozen=True)
class RuleBook:
    """All rules by id, and the hash of everything that shaped them."""

    rules: Mapping[str, Rule]
    sha256: str

    def __getitem__(self, rule_id: str) -> Rule:
        return self.rules[rule_id]

    @cached_property
    def _prefilters(self) -> dict[str, tuple[Any, tuple[tuple[Rule, Any], ...]]]:
        """Per surface one automaton over every pattern, so that a text that matches nothing is read once."""
        filters = {}
        for surface in sorted(SURFACES):
            together = re2.Set.SearchSet()
            members: list[tuple[Rule, Any]] = []
            for rule in sorted(self.rules.values(), key=lambda rule: rule.id):
                if surface in rule.surfaces:
                    for text, pattern in zip(rule.patterns, rule.compiled, strict=True):
                        together.Add(text)
                        members.append((rule, pattern))
            if members:
                together.Compile()
            filters[surface] = (together, tuple(members))
        return filters

    def matches(self, surface: str, text: str) -> list[tuple[Rule, int, int]]:
        """``(rule, start, end)`` of every pattern of ``surface`` in ``text``, in order of rule and place."""
        together, members = self._prefilters[surface]
        if not members:
            return []
        found = []
        for index in sorted(together.Match(text) or ()):
            rule, pattern = members[index]
            found += [(rule, *match.span()) for match in pattern.finditer(text)]
        return found


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
        patterns=tuple(_expand(_expand(pattern, words), words) for pattern in raw.get("patterns", ())),
        positive=tuple(Example(**example) for example in raw["positive"]),
        negative=tuple(Example(**example) for example in raw["negative"]),
    )


@lru_cache(maxsize=1)
def load_rules() -> RuleBook:
    """The rule book. Raises RulePackError for a pack that breaks its form or names a rule twice."""
    rules: dict[str, Rule] = {}
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
    return RuleBook(rules, sha256_of(documents))
