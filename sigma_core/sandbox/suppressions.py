"""Suppressions: a person's word that a finding was looked at and is fine, for a while.

They come from a TOML file that whoever runs SIGMA keeps, never from a package. The facts document stays what it is, a pure function
of bytes and policy; a `View` says what it amounts to without the findings that are suppressed, and names each of them with who
vouched, why and until when. A round knows no suppressions: what a certificate says rests on all facts.

    [[suppression]]
    rule = "SIGMA-THREAT-037"         # what is suppressed
    package = "release-notes"         # scope: the package's name, or tree_hash, its exact bytes, or both
    path = "scripts/**/*.py"          # optional: * within a folder, ** across folders, ? one character
    subject = "api.example.com"       # optional: the thing that was found, as reports print it
    fingerprint = "9f…"               # optional: one finding of one tree, as SARIF names it (sigmaFact/v1)
    reason = "Our own mirror, reviewed in March."
    owner = "security@example.com"
    expires = 2027-01-31              # the last day that it holds, UTC
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

import re2

from sigma_core.canonical import sha256_hex
from sigma_core.errors import SigmaError
from sigma_core.sandbox import fingerprints
from sigma_core.sandbox.decision import Decision, decide
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.sandbox.risk import JOINT_RULE, assess, with_joint_fact
from sigma_core.sandbox.rules import RuleBook, load_rules

MAX_FILE_BYTES = 262_144
MAX_ENTRIES = 1_000
MAX_TEXT = 1_000

_REQUIRED = ("rule", "reason", "owner", "expires")
_TEXTS = ("rule", "package", "tree_hash", "path", "subject", "fingerprint", "reason", "owner")
_HASH = re2.compile(r"^[0-9a-f]{64}$")


class SuppressionError(SigmaError):
    """A suppressions file that breaks a rule; names the file, the entry with its line, and the rule."""

    code = "SUPPRESSIONS_INVALID"


@dataclass(frozen=True, slots=True)
class Suppression:
    """One entry; ``number`` counts from 1 in the file. Empty texts do not narrow."""

    number: int
    rule: str
    package: str
    tree_hash: str
    path: str
    subject: str
    fingerprint: str
    reason: str
    owner: str
    expires: date

    def covers(self, fact: Mapping[str, Any], package_name: str, tree_hash: str) -> bool:
        """Whether this entry speaks of the JSON fact ``fact``, expired or not."""
        return (
            fact["ruleId"] == self.rule
            and (not self.package or self.package == package_name)
            and (not self.tree_hash or self.tree_hash == tree_hash)
            and (not self.subject or self.subject == fact["subject"])
            and (not self.path or _glob(self.path).match(fact["file"]) is not None)
            and (not self.fingerprint or self.fingerprint == fingerprints.in_tree(fact, tree_hash))
        )

    def as_json(self) -> dict[str, Any]:
        """``{entry, ruleId, package, treeHash, path, subject, fingerprint, reason, owner, expires}``; null = not narrowed."""
        return {
            "entry": self.number,
            "ruleId": self.rule,
            "package": self.package or None,
            "treeHash": self.tree_hash or None,
            "path": self.path or None,
            "subject": self.subject or None,
            "fingerprint": self.fingerprint or None,
            "reason": self.reason,
            "owner": self.owner,
            "expires": self.expires.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Suppressions:
    """A file of them: the entries in its order, and the SHA-256 hex of its bytes."""

    entries: tuple[Suppression, ...]
    sha256: str


@dataclass(frozen=True)
class View:
    """What facts amount to beside suppressions. ``document`` is the facts document with only the facts that stand, and the risk
    of those: it is for `decide` and for people, and is not hashed. ``suppressed`` pairs the facts set aside with their entries."""

    document: Mapping[str, Any]
    suppressed: tuple[tuple[Mapping[str, Any], Suppression], ...]
    expired: tuple[Suppression, ...]
    decision: Decision
    decision_without: Decision


def read_suppressions(data: bytes, name: str, rules: RuleBook | None = None) -> Suppressions:
    """The suppressions in the TOML bytes ``data``; ``name`` names the file in errors. Raises SuppressionError."""
    if len(data) > MAX_FILE_BYTES:
        raise SuppressionError(f"{name}: larger than {MAX_FILE_BYTES} bytes")
    try:
        text = data.decode("utf-8")
        document = tomllib.loads(text)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise SuppressionError(f"{name}: not TOML in UTF-8: {error}") from None
    unknown = sorted(set(document) - {"suppression"})
    raw = document.get("suppression", [])
    if unknown or not isinstance(raw, list) or not all(isinstance(entry, dict) for entry in raw):
        raise SuppressionError(
            f"{name}: holds [[suppression]] entries and nothing else, but has {unknown or 'another shape'}"
        )
    if len(raw) > MAX_ENTRIES:
        raise SuppressionError(f"{name}: more than {MAX_ENTRIES} entries")
    lines = _entry_lines(text, len(raw))
    book = rules or load_rules()
    entries = tuple(
        _entry(entry, number, f"{name}{f':{line}' if line else ''}: entry {number}", book)
        for number, (entry, line) in enumerate(zip(raw, lines, strict=True), 1)
    )
    return Suppressions(entries, sha256_hex(data))


def _entry_lines(text: str, count: int) -> list[int]:
    """The line of each entry's header, or zeros where headers cannot be told (entries written inline)."""
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith("[[suppression]]")]
    return lines if len(lines) == count else [0] * count


def _entry(raw: Mapping[str, Any], number: int, place: str, rules: RuleBook) -> Suppression:
    def refuse(rule: str, hint: str = "") -> SuppressionError:
        return SuppressionError(f"{place}: {rule}", hint=hint)

    unknown = sorted(set(raw) - {*_TEXTS, "expires"})
    if unknown:
        raise refuse(f"unknown key {unknown[0]!r}", f"the keys are {', '.join((*_TEXTS, 'expires'))}")
    missing = [key for key in _REQUIRED if key not in raw]
    if missing:
        raise refuse(f"{missing[0]} is missing")
    for key in _TEXTS:
        value = raw.get(key)
        if key in raw and not (isinstance(value, str) and value.strip() and len(value) <= MAX_TEXT):
            raise refuse(f"{key} must be a text of 1 to {MAX_TEXT} characters")
    if not isinstance(raw["expires"], date) or isinstance(raw["expires"], datetime):
        raise refuse("expires must be a date", "write it without quotes, like 2027-01-31")
    if raw["rule"] not in rules.rules:
        raise refuse(f"there is no rule {raw['rule']!r}", "`sigma rules` lists them")
    for key in ("tree_hash", "fingerprint"):
        if key in raw and not _HASH.match(raw[key]):
            raise refuse(f"{key} must be 64 lower-case hexadecimal digits")
    if not {"package", "tree_hash", "fingerprint"} & set(raw):
        raise refuse("scope it to a package, a tree_hash or a fingerprint")
    if rules[raw["rule"]].blocks is not None and not {"tree_hash", "fingerprint"} & set(raw):
        # A package's name is its author's to choose and to keep; only a hash says that these bytes were looked at.
        raise refuse(
            f"{raw['rule']} blocks, so it is suppressed for exact bytes only: name the tree_hash or the fingerprint",
            "`sigma validate` prints the tree hash",
        )
    return Suppression(number=number, expires=raw["expires"], **{key: raw.get(key, "") for key in _TEXTS})


@cache
def _glob(pattern: str) -> Any:
    """``pattern`` compiled: ``*`` and ``?`` stay within a folder, ``**`` does not, ``**/`` may be nothing at all."""
    translated, at = "", 0
    while at < len(pattern):
        for sign, meaning in (("**/", "(?:.*/)?"), ("**", ".*"), ("*", "[^/]*"), ("?", "[^/]")):
            if pattern.startswith(sign, at):
                translated += meaning
                at += len(sign)
                break
        else:
            translated += re2.escape(pattern[at])
            at += 1
    return re2.compile(f"(?s)^{translated}$")


def view(facts: FactsDocument, suppressions: Suppressions | None, today: date) -> View:
    """``facts`` beside ``suppressions`` on the day ``today`` (UTC). Without any, the view is the document itself.

    Incomplete coverage is not a finding and cannot be suppressed.
    """
    document = facts.document
    without = decide(document)
    if suppressions is None:
        return View(document, (), (), without, without)
    name, tree_hash = document["declared"]["name"], document["package"]["treeHash"]
    by_rule: defaultdict[str, list[Suppression]] = defaultdict(list)
    for entry in suppressions.entries:
        by_rule[entry.rule].append(entry)
    suppressed: list[tuple[Mapping[str, Any], Suppression]] = []
    expired: set[Suppression] = set()

    def stands(fact: Mapping[str, Any]) -> bool:
        covering = [entry for entry in by_rule[fact["ruleId"]] if entry.covers(fact, name, tree_hash)]
        in_force = [entry for entry in covering if today <= entry.expires]
        if in_force:
            suppressed.append((fact, in_force[0]))
        else:
            expired.update(covering)
        return not in_force

    rules = load_rules()
    standing = [fact for fact in facts.facts if fact["ruleId"] != JOINT_RULE and stands(fact)]
    # What facts amount to together follows from those that stand.
    standing = [fact for fact in with_joint_fact(standing, rules) if fact["ruleId"] != JOINT_RULE or stands(fact)]
    if not suppressed:
        return View(document, (), _in_order(expired), without, without)
    risk = assess(standing, rules, facts.complete)
    shown = {**document, "facts": standing, "risk": risk}
    return View(shown, tuple(suppressed), _in_order(expired), decide(shown), without)


def _in_order(entries: set[Suppression]) -> tuple[Suppression, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.number))


def suppression_report(seen: View, suppressions: Suppressions) -> dict[str, Any]:
    """The part of a report that tells of suppressions: ``{sha256, decisionWithout, suppressed[], expired[]}``."""
    return {
        "sha256": suppressions.sha256,
        "decisionWithout": seen.decision_without.value,
        "suppressed": [{"fact": dict(fact), **entry.as_json()} for fact, entry in seen.suppressed],
        "expired": [entry.as_json() for entry in seen.expired],
    }
