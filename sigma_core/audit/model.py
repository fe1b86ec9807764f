"""The protocol that every audit model speaks: a request with a view of the package in, a verdict with findings out.

An engine (embedded family or language model) is one `AuditModel`. It returns what it saw; whether a finding counts is decided by
`sigma_core.audit.grounding`, in code, against the bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from sigma_core.canonical import sha256_of
from sigma_core.sandbox.facts import FactsDocument, Severity
from sigma_core.submissions.package import Package


class Verdict(StrEnum):
    """A vote. ABSTAIN never counts as SAFE; the seat is redrawn."""

    SAFE = "SAFE"
    UNSAFE = "UNSAFE"
    ABSTAIN = "ABSTAIN"


class View(StrEnum):
    """What of the package a panel sees. Phase 2 sees code and facts without the author's reassurances."""

    FULL = "full"
    CLAIMS_STRIPPED = "claims_stripped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One grounded or ungrounded claim of an audit model: ``quote`` must stand verbatim at file:line_start..line_end."""

    severity: Severity
    category: str
    file: str
    line_start: int
    line_end: int
    quote: str
    rationale: str
    confidence_ppm: int

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON, the hashed form."""
        return {
            "severity": self.severity.value,
            "category": self.category,
            "file": self.file,
            "lineStart": self.line_start,
            "lineEnd": self.line_end,
            "quote": self.quote,
            "rationale": self.rationale,
            "confidencePpm": self.confidence_ppm,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Finding:
        """The finding that `as_json` wrote."""
        return cls(
            Severity(document["severity"]),
            document["category"],
            document["file"],
            document["lineStart"],
            document["lineEnd"],
            document["quote"],
            document["rationale"],
            document["confidencePpm"],
        )


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """What one seat audits. ``package`` is the view's package (already stripped for `View.CLAIMS_STRIPPED`, line numbers
    kept); ``parameters`` are the validator's declared, honest parameters (integers and strings only)."""

    package: Package
    facts: FactsDocument
    view: View
    parameters: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What one engine said. ``score_ppm`` is its own suspicion from 0 to 1,000,000; ``files_reviewed`` must equal the
    request's file list or the verdict becomes ABSTAIN."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    files_reviewed: tuple[str, ...]
    score_ppm: int
    family: str
    revision: str
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON, the hashed form: what a seat commits to."""
        return {
            "verdict": self.verdict.value,
            "findings": [finding.as_json() for finding in self.findings],
            "filesReviewed": list(self.files_reviewed),
            "scorePpm": self.score_ppm,
            "family": self.family,
            "revision": self.revision,
            "reason": self.reason,
        }

    @property
    def sha256(self) -> str:
        """SHA-256 hex of the canonical JSON of the result."""
        return sha256_of(self.as_json())


class AuditModel(Protocol):
    """An engine. ``family`` names its kind (panels are capped by it); ``revision`` changes whenever its answers may."""

    @property
    def family(self) -> str:
        """The engine's kind."""
        ...

    @property
    def revision(self) -> str:
        """The version of its answers."""
        ...

    def audit(self, request: AuditRequest) -> AuditResult:
        """Judge one package. Deterministic engines give equal results for equal requests."""
        ...
