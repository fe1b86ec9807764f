"""Family ``signatures``: YARA-X rules of our own over the raw bytes and over what simple decoding uncovers.

It knows what malice has looked like, wherever it stands: no parsing, no flow, no declared purpose. Its errors are its
own: it misses what is newly worded, and it must tell use from mention by the words around a match. The rules are
``code.yar`` and ``words.yar`` beside this file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
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
from sigma_core.audit.model import Finding, View
from sigma_core.sandbox.encodings import find_encoded
from sigma_core.sandbox.facts import FactsDocument, Severity
from sigma_core.sandbox.vocabulary import HostClass, classify_host, registrable
from sigma_core.submissions.package import Package, PackageFile

_RULE_FILES = ("code.yar", "words.yar")
_MATCHES_PER_PATTERN = 40
_MAX_LAYERS_PER_FILE = 64
_CONTEXT_BYTES = 1_500
_LINKS_OF_OWN_HOST = 3
_MAX_LINKS_PER_FILE = 2_000
_DECODED_CONFIDENCE_PPM = 900_000
_KNOWN_HOST_CONFIDENCE_PPM = 200_000
_SCRIPT_SUFFIXES = (".py", ".sh", ".bash", ".js", ".mjs", ".cjs", ".ts", ".pth", ".ps1", ".bat")

_MENTION = re2.compile(
    r"(?i)(?:❌|🚫|🚩|⛔|"
    r"\b(?:malicious|suspicious|dangerous|threats?|attacks?|attackers?|attempts?|detect(?:s|ed|ion|ing)?"
    r"|flag(?:s|ged)?|block(?:s|ed)?|patterns?|red flags?|"
    r"injection|vulnerab\w+|unsafe|harmful|exploits?|anti-?patterns?|e\.g\.|such as|examples? of|for example"
    r"|look(?:s|ing)? for|checks? for|scan(?:s|ning)? for|"
    r"watch for|what it checks|beware|warning signs?|reject|refuse|untrusted|instead of|rather than)\b)"
)
"""Words that say of a passage that it is spoken about: a list of threats, an example of what not to do."""

_PROHIBITION = re2.compile(r"(?i)\b(?:never|do not|don't|avoid|must not|should not|cannot|won't)\b[^.!?;]*$")
"""A prohibition that is still open where the match begins."""

_QUOTED_BEFORE = re2.compile(r"[\"'“‘«`]\s*$")
_SEARCHED_FOR = re2.compile(r"""(?i)\b(?:grep|egrep|rg|re\.\w+|regexp?|pattern)\b.*["'/]""")
_LIST_ITEM = re2.compile(r"^\s*(?:[-*+]\s|[|>]|[0-9]+[.)])")
_STRING_ITEM = re2.compile(r"""^\s*[rRbuf]?(?:"[^"]*"|'[^']*'),?\s*$""")
_HOST = re2.compile(r"(?i)(?:https?|hxxps?|ftp)://([a-z0-9._\[\]-]+)")
_EXPECTED_HOSTS = frozenset({HostClass.LOCAL, HostClass.KNOWN, HostClass.INSTALLER})


@dataclass(frozen=True, slots=True)
class _Rule:
    identifier: str
    title: str
    category: str
    severity: Severity
    confidence_ppm: int
    host_matters: bool
    mention_matters: bool
    prose_only: bool


@cache
def _rules() -> yara_x.Rules:
    compiler = yara_x.Compiler()
    for name in _RULE_FILES:
        compiler.add_source(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"), origin=name)
    return compiler.build()


class Signatures(EmbeddedFamily):
    """Signatures over bytes and decoded layers."""

    family = "signatures"
    revision = revision_of(__package__, "__init__.py", *_RULE_FILES)

    def analyse(self, package: Package, facts: FactsDocument, view: View) -> Analysis:  # noqa: ARG002
        """Score: noisy or over the strongest match of each rule."""
        hosts = _hosts_in(package)
        findings = [finding for file in package.files for finding in _findings_in(file, hosts)]
        strongest: dict[str, int] = {}
        for rule, finding in findings:
            strongest[rule] = max(strongest.get(rule, 0), finding.confidence_ppm)
        return Analysis(
            score_ppm=either_ppm(strongest.values()),
            findings=strongest_first(finding for _, finding in findings),
            files=file_paths(package),
        )


def _findings_in(file: PackageFile, hosts: Counter[str]) -> Iterator[tuple[str, Finding]]:
    for rule, start, end in _matches(file.content):
        confidence = _confidence(rule, file, start, end, hosts)
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
    """``(rule, start, end)`` of every match that is evidence, in the order of the rule files, then of place."""
    scanner = yara_x.Scanner(_rules())
    scanner.max_matches_per_pattern(_MATCHES_PER_PATTERN)
    for matched in scanner.scan(content).matching_rules:
        values = dict(matched.metadata)
        rule = _Rule(
            identifier=matched.identifier,
            title=values["title"],
            category=values["category"],
            severity=Severity(values["severity"]),
            confidence_ppm=values["confidence"],
            host_matters=values.get("host") == "matters",
            mention_matters=values.get("mention") == "matters",
            prose_only=values.get("scope") == "prose",
        )
        places = {
            (match.offset, match.offset + match.length)
            for pattern in matched.patterns
            if not pattern.identifier.startswith("$near")
            for match in pattern.matches
        }
        for start, end in sorted(places):
            yield rule, start, end


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


def _confidence(rule: _Rule, file: PackageFile, start: int, end: int, hosts: Counter[str]) -> int:
    """The rule's confidence at one place: zero for a mention, low for a download from an expected host."""
    if rule.mention_matters and (_is_searched_for if _is_script(file) else _is_spoken_about)(file.content, start):
        return 0
    if _is_script(file) and rule.prose_only and _is_string_item(file.content, start):
        return 0
    if rule.host_matters:
        found = _HOST.search(file.content[start : end + 200].decode("latin-1"))
        host = found.group(1).lower() if found else ""
        if host and _is_expected(host, hosts):
            return min(rule.confidence_ppm, _KNOWN_HOST_CONFIDENCE_PPM)
    return rule.confidence_ppm


def _is_script(file: PackageFile) -> bool:
    return file.path.lower().endswith(_SCRIPT_SUFFIXES)


def _is_spoken_about(content: bytes, start: int) -> bool:
    """Whether prose or data speaks about the match at ``start`` instead of saying it: after a quotation mark, a
    prohibition that is still open, or words such as "detects" in its line, in the two lines of text above or in the
    line that introduces its list."""
    head = content[max(0, start - _CONTEXT_BYTES) : start].decode("utf-8", "ignore")
    *above, before = head.split("\n")
    texts = [line for line in above if line.strip() and not line.lstrip().startswith(("```", "~~~"))]
    introduction = next((line for line in reversed(texts) if not _LIST_ITEM.search(line)), "")
    if _QUOTED_BEFORE.search(before) or _PROHIBITION.search(before):
        return True
    return any(_MENTION.search(line) for line in (before, *texts[-2:], introduction))


def _is_searched_for(content: bytes, start: int) -> bool:
    """Whether a script has the match as a pattern that it searches for: quoted, after grep or a regular expression, in
    its line."""
    return bool(
        _SEARCHED_FOR.search(
            content[content.rfind(b"\n", 0, start) + 1 : start][-_CONTEXT_BYTES:].decode("utf-8", "ignore")
        )
    )


def _is_string_item(content: bytes, start: int) -> bool:
    """Whether a script's line at ``start`` is nothing but a string: an item of a list of phrases."""
    left = content.rfind(b"\n", 0, start) + 1
    right = content.find(b"\n", start)
    return bool(
        _STRING_ITEM.search(
            content[left : len(content) if right < 0 else right][:_CONTEXT_BYTES].decode("utf-8", "ignore")
        )
    )


def _hosts_in(package: Package) -> Counter[str]:
    hosts: Counter[str] = Counter()
    for file in package.files:
        links = islice(_HOST.finditer(file.content.decode("latin-1")), _MAX_LINKS_PER_FILE)
        hosts.update(match.group(1).lower() for match in links)
    return hosts


def _is_expected(host: str, hosts: Counter[str]) -> bool:
    """Whether honest packages install from ``host``: a well-known source, or a named host that the package links at
    least three times."""
    kind = classify_host(host)
    if kind in _EXPECTED_HOSTS:
        return True
    links = sum(count for other, count in hosts.items() if registrable(other) == registrable(host))
    return kind is HostClass.UNKNOWN and links >= _LINKS_OF_OWN_HOST
