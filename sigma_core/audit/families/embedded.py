"""What the four embedded families share: an analysis that depends on bytes alone, and a decision that depends on
parameters.

The analysis is the heavy part, and every seat of one family on one view shares it (`EmbeddedFamily.analysis`). The
decision is where validators of one family differ: each declares its own honest parameters, within ranges that the
family publishes.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import ClassVar

from sigma_core.audit.families.parameters import FAMILY_PARAMETERS
from sigma_core.audit.model import AuditRequest, AuditResult, Finding, Verdict, View
from sigma_core.canonical import sha256_hex
from sigma_core.policy import PPM
from sigma_core.sandbox.facts import FactsDocument, Rank
from sigma_core.submissions.package import Package

_CACHED_ANALYSES = 256
_MAX_FINDINGS = 20
_MAX_QUOTE_CHARACTERS = 240


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a family saw in one view of one package: its suspicion and its evidence, strongest first."""

    score_ppm: int
    findings: tuple[Finding, ...]
    files: tuple[str, ...]


class EmbeddedFamily(ABC):
    """A deterministic audit family: no network, no key, no clock.

    It says UNSAFE when its score reaches the validator's ``threshold_ppm`` and evidence stands in the files, else SAFE,
    which means "no known-bad evidence". A request with parameters outside their declared range gets an ABSTAIN that
    names the parameter.
    """

    family: ClassVar[str]
    revision: ClassVar[str]

    def __init__(self) -> None:
        self._analyses: OrderedDict[tuple[str, str, View], Analysis] = OrderedDict()
        self._lock = threading.Lock()

    @abstractmethod
    def analyse(self, package: Package, facts: FactsDocument, view: View) -> Analysis:
        """The heavy part: pure, independent of any validator's parameters."""

    def analysis(self, package: Package, facts: FactsDocument, view: View) -> Analysis:
        """`analyse`, remembered for the last 256 (view of a package, facts) of this process."""
        key = (package.tree_hash, facts.sha256, view)
        with self._lock:
            known = self._analyses.get(key)
            if known is not None:
                self._analyses.move_to_end(key)
                return known
        made = self.analyse(package, facts, view)
        with self._lock:
            self._analyses[key] = made
            while len(self._analyses) > _CACHED_ANALYSES:
                self._analyses.popitem(last=False)
        return made

    def decide(self, analysis: Analysis, parameters: Mapping[str, int | str]) -> AuditResult:
        """One validator's verdict on an analysis."""
        values, flaw = self._values(parameters)
        unsafe = not flaw and analysis.score_ppm >= values["threshold_ppm"] and bool(analysis.findings)
        return AuditResult(
            verdict=Verdict.ABSTAIN if flaw else Verdict.UNSAFE if unsafe else Verdict.SAFE,
            findings=analysis.findings if unsafe else (),
            files_reviewed=analysis.files,
            score_ppm=analysis.score_ppm,
            family=self.family,
            revision=self.revision,
            reason=flaw or ("" if unsafe else "no known-bad evidence"),
        )

    def audit(self, request: AuditRequest) -> AuditResult:
        """`AuditModel.audit`: the decision on the (remembered) analysis."""
        return self.decide(self.analysis(request.package, request.facts, request.view), request.parameters)

    def _values(self, parameters: Mapping[str, int | str]) -> tuple[dict[str, int], str]:
        declared = FAMILY_PARAMETERS[self.family]
        values = {parameter.name: parameter.default for parameter in declared}
        for name in sorted(set(parameters) - set(values)):
            return values, f"{self.family} has no parameter {name!r}"
        for parameter in declared:
            value = parameters.get(parameter.name, parameter.default)
            if type(value) is not int or not parameter.lowest <= value <= parameter.highest:
                bounds = f"{parameter.lowest} to {parameter.highest}"
                return values, f"parameter {parameter.name} of {self.family} is not an integer from {bounds}"
            values[parameter.name] = value
        return values, ""


def revision_of(package: str, *files: str) -> str:
    """A family's revision: 12 hex digits of SHA-256 over the files that shape its answers, so that none can change
    unnoticed."""
    contents = [resources.files(package).joinpath(name).read_bytes() for name in files]
    return sha256_hex(b"".join(sha256_hex(content).encode() for content in contents))[:12]


def file_paths(package: Package) -> tuple[str, ...]:
    """The file list that a result must repeat."""
    return tuple(file.path for file in package.files)


def strongest_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """At most 20 findings in canonical order: by confidence, severity, then place."""

    def order(finding: Finding) -> tuple[int, int, bytes, int, str, str]:
        severity = -int(Rank[finding.severity.name])
        return (
            -finding.confidence_ppm,
            severity,
            finding.file.encode(),
            finding.line_start,
            finding.category,
            finding.quote,
        )

    return tuple(sorted(findings, key=order)[:_MAX_FINDINGS])


def quote_at(content: bytes, start: int, end: int) -> tuple[int, int, str] | None:
    """``(line_start, line_end, quote)`` of bytes ``start`` to ``end``, widened to whole lines where that stays short.

    None where nothing quotable stands there (blank, or not UTF-8): such a place cannot be evidence.
    """
    left = content.rfind(b"\n", max(0, start - _MAX_QUOTE_CHARACTERS), start) + 1
    if left == 0 and start > _MAX_QUOTE_CHARACTERS:
        left = start
    right = content.find(b"\n", max(end - 1, start))
    right = len(content) if right < 0 else right
    if right - left > _MAX_QUOTE_CHARACTERS:
        left, right = start, min(right, start + _MAX_QUOTE_CHARACTERS)
    passage = content[left:right].decode("utf-8", "ignore").strip()
    if len(passage) < 3 or passage.encode() not in content[left:right]:
        return None
    return content.count(b"\n", 0, left) + 1, content.count(b"\n", 0, right) + 1, passage[:_MAX_QUOTE_CHARACTERS]


def quote_of_lines(content: bytes, line_start: int, line_end: int) -> tuple[int, int, str] | None:
    """`quote_at` for 1-based, inclusive lines; None where the file has no such lines or they are blank."""
    lines = content.split(b"\n")
    if not 1 <= line_start <= line_end <= len(lines):
        return None
    start = sum(len(line) + 1 for line in lines[: line_start - 1])
    passage = b"\n".join(lines[line_start - 1 : line_end])
    blank = len(passage) - len(passage.lstrip())
    return quote_at(content, start + blank, start + len(passage))


def either_ppm(confidences: Iterable[int]) -> int:
    """Noisy or: the chance that at least one of independent observations is right, in ppm, rounded down."""
    all_wrong = PPM
    for confidence in sorted(confidences):
        all_wrong = -(-all_wrong * (PPM - confidence) // PPM)
    return PPM - all_wrong
