"""Family ``capability_difference``: what the package can do and its author never says.

Demanded are the capabilities and hosts that the sandbox found in code and commands; declared is what the manifest says and what the documents say
in words outside of code. Each undeclared capability has a weight, by what it would allow; the score combines them, so that reading a key
file and calling an unnamed host together are worse than either. It is the family that sees a payload hidden in an honest skill,
and it is blind to malice that is announced.
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
from sigma_core.sandbox.vocabulary import HostClass, bare_hosts_in, classify_host, registrable, urls_in
from sigma_core.submissions.package import Package

_DOCUMENT_SUFFIXES = (".md", ".markdown", ".mdx", ".txt", ".rst")
_FENCE_MARKS = ("```", "~~~")


@dataclass(frozen=True, slots=True)
class _Weight:
    """What an undeclared ability counts, in ppm, and the words that declare it."""

    ppm: int
    severity: Severity
    words: Any


def _weight(ppm: int, severity: Severity, words: str) -> _Weight:
    return _Weight(ppm, severity, re2.compile(rf"(?i)\b(?:{words})"))


_WEIGHTS: Mapping[str, _Weight] = {
    Ability.SECRET_READ: _weight(
        420_000,
        Severity.HIGH,
        r"ssh|aws|credential|private key|wallets?\b|cookies?\b|keychain|netrc|log ?in|passwords?|oauth|auth|api[ _-]?keys?|tokens?\b|profile",
    ),
    Ability.PERSISTENCE: _weight(
        480_000,
        Severity.HIGH,
        r"cron|start-?up|launchd|launch ?agent|systemd|service|daemon|schedul|autostart|boot|login item|bashrc|zshrc|profile|shell|hooks?\b|alias|background",
    ),
    Ability.AGENT_CONFIG: _weight(
        440_000,
        Severity.HIGH,
        r"settings|config|mcp\b|hooks?\b|memory|rules?\b|(?:claude|agents|soul|identity|heartbeat)\.md|install|workspace|identity",
    ),
    Ability.WALLET: _weight(
        420_000,
        Severity.HIGH,
        r"wallet|crypto|coins?\b|blockchain|ethereum|solana|bitcoin|private key|sign|seed|mnemonic|on-?chain",
    ),
    Ability.INSTALL_HOOK: _weight(420_000, Severity.HIGH, r"hooks?\b|post-?install|install script"),
    Ability.REMOTE_INSTRUCTIONS: _weight(
        400_000, Severity.HIGH, r"instruction|heartbeat|skill\.md|prompt|latest|update"
    ),
    Ability.DYNAMIC_CODE: _weight(
        300_000, Severity.MEDIUM, r"eval|exec|dynamic|plugin|interpret|repl\b|sandbox|formula|expression|template|run"
    ),
    Ability.CLIPBOARD: _weight(340_000, Severity.MEDIUM, r"clipboard|copy|paste|copies"),
    Ability.NETWORK: _weight(
        300_000,
        Severity.MEDIUM,
        r"api\b|apis\b|https?\b|urls?\b|web|fetch|download|upload|online|internet|request|endpoint|server|service|sync|cloud|remote|brows|search|post|network|connect|telegram|slack|discord|mail|integrat",
    ),
}
_UNNAMED_HOST_PPM = {
    HostClass.UNKNOWN: 300_000,
    HostClass.RESERVED: 300_000,
    HostClass.DROP: 480_000,
    HostClass.RAW_ADDRESS: 480_000,
    HostClass.HIDDEN_SERVICE: 560_000,
}


class CapabilityDifference(EmbeddedFamily):
    """The gap between demanded and declared capabilities, weighed."""

    family = "capability_difference"
    revision = revision_of(__package__, "capability_difference.py", "embedded.py")

    def analyse(self, package: Package, facts: FactsDocument, view: View) -> Analysis:  # noqa: ARG002
        """Score: noisy or over the heaviest place of each undeclared ability or host."""
        declared = _Declared.of(package, facts)
        heaviest: dict[str, Finding] = {}
        for gap, finding in _gaps(package, facts, declared):
            known = heaviest.get(gap)
            if known is None or finding.confidence_ppm > known.confidence_ppm:
                heaviest[gap] = finding
        score = either_ppm(finding.confidence_ppm for finding in heaviest.values())
        return Analysis(score, strongest_first(heaviest.values()), file_paths(package))


@dataclass(frozen=True, slots=True)
class _Declared:
    """Words of the documents outside of code, and the hosts that they or the manifest name."""

    words: str
    owners: frozenset[str]

    @classmethod
    def of(cls, package: Package, facts: FactsDocument) -> _Declared:
        manifest = " ".join(_texts(facts.document["declared"]))
        words = " ".join(
            [
                manifest,
                *(_words_of(file.content) for file in package.files if file.path.lower().endswith(_DOCUMENT_SUFFIXES)),
            ]
        )
        hosts = [host for _, _, _, host in urls_in(words)] + bare_hosts_in(words)
        return cls(words, frozenset(registrable(host) for host in hosts))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _words_of(document: bytes) -> str:
    lines, fenced = [], False
    for line in document.decode("utf-8", "replace").split("\n"):
        if line.lstrip(" \t>").startswith(_FENCE_MARKS):
            fenced = not fenced
        elif not fenced:
            lines.append(line)
    return "\n".join(lines)


def _gaps(package: Package, facts: FactsDocument, declared: _Declared) -> Iterator[tuple[str, Finding]]:
    """``(what is undeclared, evidence)`` for each demanded capability that stands in the view."""
    for fact in facts.facts:
        if fact["kind"] != FactKind.CAPABILITY.value:
            continue
        ability, _, subject = fact["subject"].partition(": ")
        weight = _WEIGHTS.get(ability)
        if weight is not None and not weight.words.search(declared.words):
            yield from _finding(
                package,
                fact,
                ability,
                weight.ppm,
                weight.severity,
                f"can {ability} ({subject}), and no document says so",
            )
        if ability == Ability.NETWORK.value:
            urls = urls_in(subject)
            host = urls[0][3] if urls else subject.split("/")[0].split(":")[0].lower()
            ppm = _UNNAMED_HOST_PPM.get(classify_host(host), 0) if "." in host else 0
            if ppm and registrable(host) not in declared.owners:
                yield from _finding(
                    package,
                    fact,
                    f"host {registrable(host)}",
                    ppm,
                    Severity.MEDIUM,
                    f"contacts {host}, which no document names",
                )


def _finding(
    package: Package, fact: Mapping[str, Any], gap: str, ppm: int, severity: Severity, rationale: str
) -> Iterator[tuple[str, Finding]]:
    file = package.by_path.get(fact["file"])
    quoted = quote_of_lines(file.content, fact["lineStart"], fact["lineEnd"]) if file is not None else None
    if file is None or quoted is None:
        return
    line_start, line_end, quote = quoted
    yield (
        gap,
        Finding(
            severity, Category.UNDECLARED_CAPABILITY.value, file.path, line_start, line_end, quote, rationale[:400], ppm
        ),
    )
