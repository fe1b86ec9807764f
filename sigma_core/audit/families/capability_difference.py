"""Family ``capability_difference``: what the package can do and its author never says.

Demanded are the capabilities and hosts that the sandbox found in code and commands; declared is what the manifest says
and what the documents say in words outside of code. Each undeclared capability has a weight, by what it would allow;
the score combines them, so that reading a key file and calling an unnamed host together are worse than either. It is
the family that sees a payload hidden in an honest skill, and it is blind to malice that is announced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import re2

from sigma_core.audit.families.embedded import (
    Analysis,
    EmbeddedFamily,
    either_ppm,
    file_paths,
    quote_of_lines,
    revision_of,
    strongest_first,
)
from sigma_core.audit.grounding import Category
from sigma_core.audit.model import Finding, View
from sigma_core.sandbox.facts import FactKind, FactsDocument, Severity
from sigma_core.sandbox.observations import Ability
from sigma_core.sandbox.vocabulary import HostClass, classify_host, registrable, urls_in
from sigma_core.submissions.package import Package

_DOCUMENT_SUFFIXES = (".md", ".markdown", ".mdx", ".txt", ".rst")
_SECRET_NAME = re2.compile(r"(?i)key|token|secret|passw|credential|private|auth")
_NAME_PART = re2.compile(r"[a-z]{3,}")
_SAYS_NOTHING = frozenset({"config", "json", "home", "credentials", "file", "txt", "yaml", "toml", "com"})
_AGENTS_OWN = (".clawdbot", ".moltbot", ".openclaw")


@dataclass(frozen=True, slots=True)
class _Weight:
    """What an undeclared ability counts, in ppm: in a program's file, and in commands or code that a document shows."""

    in_program: int
    in_document: int
    severity: Severity


_WEIGHTS: Mapping[str, _Weight] = {
    Ability.SECRET_READ: _Weight(520_000, 520_000, Severity.HIGH),
    Ability.PERSISTENCE: _Weight(560_000, 250_000, Severity.HIGH),
    Ability.AGENT_CONFIG: _Weight(520_000, 520_000, Severity.HIGH),
    Ability.WALLET: _Weight(520_000, 420_000, Severity.HIGH),
    Ability.INSTALL_HOOK: _Weight(420_000, 420_000, Severity.HIGH),
    Ability.REMOTE_INSTRUCTIONS: _Weight(420_000, 300_000, Severity.HIGH),
    Ability.DYNAMIC_CODE: _Weight(520_000, 300_000, Severity.MEDIUM),
    Ability.CLIPBOARD: _Weight(340_000, 200_000, Severity.MEDIUM),
    Ability.ENVIRONMENT: _Weight(300_000, 520_000, Severity.MEDIUM),
}
"""By ability; of the environment only variables that are named like secrets count."""

_AGENTS_OWN_SETTINGS_PPM = 300_000
_HOST_PPM = {
    HostClass.UNKNOWN: 300_000,
    HostClass.RESERVED: 400_000,
    HostClass.DROP: 520_000,
    HostClass.RAW_ADDRESS: 520_000,
    HostClass.HIDDEN_SERVICE: 600_000,
}
"""By what is known of a host that no document names."""

_MISMATCH_PPM = {Severity.CRITICAL: 900_000, Severity.HIGH: 640_000, Severity.MEDIUM: 250_000}
"""A mismatch that the sandbox found, by severity."""


class CapabilityDifference(EmbeddedFamily):
    """The gap between demanded and declared capabilities, weighed."""

    family = "capability_difference"
    revision = revision_of(__package__, "capability_difference.py", "embedded.py")

    def analyse(self, package: Package, facts: FactsDocument, view: View) -> Analysis:  # noqa: ARG002
        """Score: noisy or over the heaviest place of each undeclared thing."""
        declared = _Declared.of(package, facts)
        heaviest: dict[str, Finding] = {}
        for gap in _gaps(facts, declared):
            finding = _finding(package, gap)
            known = heaviest.get(gap.name)
            if finding is not None and (known is None or finding.confidence_ppm > known.confidence_ppm):
                heaviest[gap.name] = finding
        score = either_ppm(finding.confidence_ppm for finding in heaviest.values())
        return Analysis(score, strongest_first(heaviest.values()), file_paths(package))


@dataclass(frozen=True, slots=True)
class _Gap:
    """Something demanded and not declared, with the fact that shows it."""

    name: str
    ppm: int
    severity: Severity
    rationale: str
    fact: Mapping[str, Any]


class _Declared:
    """What the manifest and the documents say, lower case. The place that demands a thing does not declare it."""

    def __init__(self, manifest: str, documents: Mapping[str, list[str]]) -> None:
        self._documents = documents
        self._text = "\n".join([manifest, *("\n".join(lines) for lines in documents.values())])

    @classmethod
    def of(cls, package: Package, facts: FactsDocument) -> _Declared:
        documents = {
            file.path: file.content.decode("utf-8", "replace").lower().split("\n")
            for file in package.files
            if is_document(file.path)
        }
        return cls(" ".join(_texts(facts.document["declared"])).lower(), documents)

    def says(self, name: str, fact: Mapping[str, Any]) -> bool:
        """Whether ``name`` stands anywhere but in the lines of ``fact``."""
        if name not in self._text:
            return False
        lines = self._documents.get(fact["file"])
        if lines is None:
            return True
        here = "\n".join(lines[fact["lineStart"] - 1 : fact["lineEnd"]])
        return self._text.count(name) > here.count(name)


def is_document(path: str) -> bool:
    """Whether a member is there to be read by people and agents."""
    return path.lower().endswith(_DOCUMENT_SUFFIXES)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _gaps(facts: FactsDocument, declared: _Declared) -> Iterator[_Gap]:
    for fact in facts.facts:
        if fact["context"] != "use":
            continue
        if fact["kind"] == FactKind.MISMATCH.value:
            severity = Severity(fact["severity"])
            yield _Gap(
                fact["ruleId"], _MISMATCH_PPM.get(severity, 0), severity, f"{fact['title']} ({fact['subject']})", fact
            )
        elif fact["kind"] == FactKind.CAPABILITY.value:
            ability, _, subject = fact["subject"].partition(": ")
            if ability == Ability.NETWORK.value:
                yield from _unnamed_host(subject.lower(), fact, declared)
            elif ability in _WEIGHTS:
                yield from _undeclared_ability(ability, subject, fact, declared)


def _unnamed_host(target: str, fact: Mapping[str, Any], declared: _Declared) -> Iterator[_Gap]:
    urls = urls_in(target)
    host = urls[0][3] if urls else target.partition("/")[0].partition(":")[0]
    ppm = _HOST_PPM.get(classify_host(host), 0) if "." in host else 0
    owner = registrable(host)
    if ppm and not declared.says(owner, fact):
        yield _Gap(f"host {owner}", ppm, Severity.MEDIUM, f"contacts {host}, which no document names", fact)


def _undeclared_ability(ability: str, subject: str, fact: Mapping[str, Any], declared: _Declared) -> Iterator[_Gap]:
    weight = _WEIGHTS[ability]
    ppm = weight.in_document if is_document(fact["file"]) else weight.in_program
    if ability == Ability.ENVIRONMENT.value:
        named = not _SECRET_NAME.search(subject) or declared.says(subject.lower(), fact)
    elif subject == "compile":
        return
    else:
        parts = [part.group() for part in _NAME_PART.finditer(subject.lower())]
        named = any(declared.says(part, fact) for part in parts if part not in _SAYS_NOTHING)
    if not named:
        if ability == Ability.SECRET_READ.value and subject.startswith(_AGENTS_OWN):
            ppm = _AGENTS_OWN_SETTINGS_PPM
        yield _Gap(ability, ppm, weight.severity, f"{ability} ({subject}), which no document names", fact)


def _finding(package: Package, gap: _Gap) -> Finding | None:
    file = package.by_path.get(gap.fact["file"])
    quoted = quote_of_lines(file.content, gap.fact["lineStart"], gap.fact["lineEnd"]) if file is not None else None
    if file is None or quoted is None or not gap.ppm:
        return None
    line_start, line_end, quote = quoted
    category = Category.UNDECLARED_CAPABILITY.value
    return Finding(gap.severity, category, file.path, line_start, line_end, quote, gap.rationale[:400], gap.ppm)
