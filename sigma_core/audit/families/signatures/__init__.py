"""Family ``signatures``: YARA-X rules of our own over the raw bytes and over what simple decoding uncovers.

It knows what malice has looked like, wherever it stands: no parsing, no flow, no declared purpose. Its errors are its
own: it misses what is newly worded, and it must tell use from mention by the words around a match (``context.py``). The
rules are ``code.yar`` and ``words.yar`` beside this file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import islice

import re2
import yara_x

from sigma_core.audit.families.embedded import (
    Analysis,
    EmbeddedFamily,
    either_ppm,
    file_paths,
    quote_at,
    revision_of,
    strongest_first,
)
from sigma_core.audit.families.signatures.context import (
    fences_of,
    is_a_strangers_deed,
    is_enumerated,
    is_order,
    is_searched_for,
    is_spoken_about,
)
from sigma_core.audit.model import Finding, View
from sigma_core.sandbox.encodings import find_encoded
from sigma_core.sandbox.facts import FactsDocument, Severity
from sigma_core.sandbox.vocabulary import HostClass, classify_host
from sigma_core.submissions.package import Package, PackageFile

_RULE_FILES = ("code.yar", "words.yar")
_MATCHES_PER_PATTERN = 100
_MAX_LAYERS_PER_FILE = 64
_DECODED_CONFIDENCE_PPM = 900_000
_KNOWN_HOST_CONFIDENCE_PPM = 200_000
_PROSE_SUFFIXES = (".md", ".mdx", ".markdown", ".rst", ".txt")

_HOST = re2.compile(r"""(?i)(?:https?|hxxps?|ftp)://(?:[^/\s@"'`]{0,200}@)?([a-z0-9._\[\]-]+)""")
_ARGUMENT = re2.compile(rb"""^[\w.()\s]{0,24}["'][^"'\n]{0,200}["']""")
"""The string in which a match that ends before its URL goes on."""
_KNOWN_HOSTS = frozenset({HostClass.LOCAL, HostClass.KNOWN, HostClass.INSTALLER})


@dataclass(frozen=True, slots=True)
class _Rule:
    identifier: str
    title: str
    category: str
    severity: Severity
    confidence_ppm: int
    host_matters: bool
    mention_matters: bool
    order_only: bool
    list_matters: bool


@cache
def _rules() -> yara_x.Rules:
    compiler = yara_x.Compiler()
    for name in _RULE_FILES:
        compiler.add_source(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"), origin=name)
    return compiler.build()


class Signatures(EmbeddedFamily):
    """Signatures over bytes and decoded layers."""

    family = "signatures"
    revision = revision_of(__package__, "__init__.py", "context.py", *_RULE_FILES)

    def analyse(self, package: Package, facts: FactsDocument, view: View) -> Analysis:  # noqa: ARG002
        """Score: noisy or over the strongest match of each rule."""
        findings = [finding for file in package.files for finding in _findings_in(file)]
        strongest: dict[str, int] = {}
        for rule, finding in findings:
            strongest[rule] = max(strongest.get(rule, 0), finding.confidence_ppm)
        return Analysis(
            score_ppm=either_ppm(strongest.values()),
            findings=strongest_first(finding for _, finding in findings),
            files=file_paths(package),
        )


def _findings_in(file: PackageFile) -> Iterator[tuple[str, Finding]]:
    fences = fences_of(file.content)
    for rule, start, end in _matches(file.content):
        confidence = _confidence(rule, file, fences, start, end)
        quoted = quote_at(file.content, start, end) if confidence else None
        if quoted is not None:
            yield rule.identifier, _finding(rule, file, quoted, confidence, rule.title)
    # Latin-1 maps each byte to one character, so that offsets of encoded pieces (ASCII) are byte offsets.
    for piece in islice(find_encoded(file.content.decode("latin-1")), _MAX_LAYERS_PER_FILE):
        quoted = quote_at(file.content, piece.start, piece.end)
        if quoted is None:
            continue
        for rule, start, end in _matches(piece.data):
            decoded = " ".join(piece.data[start:end].decode("utf-8", "replace").split())
            rationale = f"{rule.title}, under {piece.step}: {decoded[:200]}"
            yield rule.identifier, _finding(rule, file, quoted, _DECODED_CONFIDENCE_PPM, rationale)


def _matches(content: bytes) -> Iterator[tuple[_Rule, int, int]]:
    """``(rule, start, end)`` of every match that is evidence, in the order of the rule files, then of place.

    A pattern that fills its limit may hide a match behind the others, so no place excuses any match of its rule.
    """
    scanner = yara_x.Scanner(_rules())
    scanner.max_matches_per_pattern(_MATCHES_PER_PATTERN)
    for matched in scanner.scan(content).matching_rules:
        rule = _rule_of(matched)
        found = [list(each.matches) for each in matched.patterns if not each.identifier.startswith("$near")]
        if any(len(matches) == _MATCHES_PER_PATTERN for matches in found):
            rule = replace(rule, host_matters=False, mention_matters=False, order_only=False, list_matters=False)
        for start, end in sorted({(each.offset, each.offset + each.length) for matches in found for each in matches}):
            yield rule, start, end


def _rule_of(matched: yara_x.Rule) -> _Rule:
    values = dict(matched.metadata)
    return _Rule(
        identifier=matched.identifier,
        title=values["title"],
        category=values["category"],
        severity=Severity(values["severity"]),
        confidence_ppm=values["confidence"],
        host_matters=values.get("host") == "matters",
        mention_matters=values.get("mention") == "matters",
        order_only=values.get("voice") == "order",
        list_matters=values.get("list") == "matters",
    )


def _finding(rule: _Rule, file: PackageFile, quoted: tuple[int, int, str], confidence: int, rationale: str) -> Finding:
    line_start, line_end, quote = quoted
    return Finding(
        severity=rule.severity,
        category=rule.category,
        file=file.path,
        line_start=line_start,
        line_end=line_end,
        quote=quote,
        rationale=rationale,
        confidence_ppm=confidence,
    )


def _confidence(rule: _Rule, file: PackageFile, fences: Sequence[int], start: int, end: int) -> int:
    """The rule's confidence at one place: zero for a mention, low for a download from a known host."""
    if _is_mention(rule, file, fences, start, end):
        return 0
    if rule.host_matters and _is_from_known_hosts(file.content, start, end):
        return min(rule.confidence_ppm, _KNOWN_HOST_CONFIDENCE_PPM)
    return rule.confidence_ppm


def _is_mention(rule: _Rule, file: PackageFile, fences: Sequence[int], start: int, end: int) -> bool:
    """Whether the match speaks about the thing or, for what only counts as an order, orders nothing."""
    if rule.order_only and (not is_order(file.content, start) or is_a_strangers_deed(file.content[start:end])):
        return True
    if not rule.mention_matters:
        return False
    if rule.list_matters and is_enumerated(file.content, start, end):
        return True
    if file.path.lower().endswith(_PROSE_SUFFIXES):
        return is_spoken_about(file.content, start, end, fences)
    return is_searched_for(file.content, start)


def _is_from_known_hosts(content: bytes, start: int, end: int) -> bool:
    """Whether the match names URLs and every one is at a source that everybody installs from.

    How often a package links a host says nothing: its author chooses that.
    """
    argument = _ARGUMENT.search(content[end : end + 226])
    named = _HOST.findall((content[start:end] + (argument.group() if argument else b"")).decode("latin-1"))
    return bool(named) and all(classify_host(host.lower()) in _KNOWN_HOSTS for host in named)
