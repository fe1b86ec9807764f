"""The vocabulary of the sandbox's facts document.

Facts are derived from bytes by code alone, so the document is byte-identical wherever and whenever it is made. It keeps
what the package *can do*, what it *declares* and the *mismatch* between them apart, with the coverage ledger that says what was looked
at. Consensus reads `FactsDocument.blocking_signals` and `FactsDocument.complete`; nothing that a model says can lower either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import Any

import orjson

from sigma_core.canonical import canonical_json, sha256_hex

SCHEMA = "sigma-facts-v1"


class Severity(StrEnum):
    """How much one fact matters, by itself."""

    INFO = "INFO"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class RiskLevel(StrEnum):
    """``sandboxRiskLevel``: what the facts together amount to."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class SecurityLevel(StrEnum):
    """``securityLevel``: what a reader of the certificate is told."""

    CLEAR = "CLEAR"
    NOTICE = "NOTICE"
    WARNING = "WARNING"
    DANGER = "DANGER"


class SignalKind(StrEnum):
    """Blocking signals: any of them makes approval impossible, whatever the votes."""

    TAMPER = "TAMPER"
    BLOCKING_MISMATCH = "BLOCKING_MISMATCH"
    STRONG_INJECTION = "STRONG_INJECTION"
    HARD_FAILURE = "HARD_FAILURE"
    MISSED_CANARY = "MISSED_CANARY"


class FactKind(StrEnum):
    """Which of the documents a fact belongs to."""

    CAPABILITY = "capability"
    DECLARED = "declared"
    MISMATCH = "mismatch"
    THREAT = "threat"
    INJECTION = "injection"
    SECRET = "secret"
    OBFUSCATION = "obfuscation"
    SUPPLY_CHAIN = "supply_chain"


class Rank(IntEnum):
    """Order of severities, for sorting and maxima."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


@dataclass(frozen=True, slots=True)
class Location:
    """Where a fact was seen. Lines are 1-based and inclusive; bytes are a half-open range into the layer's bytes.

    ``layer`` is empty for the file itself, else how the bytes were reached, outermost first: ``base64@120/gzip``. Line
    numbers always point into the file that a person can open.
    """

    file: str
    line_start: int
    line_end: int
    byte_start: int
    byte_end: int
    layer: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """One observation. ``excerpt`` is short, with secrets redacted; ``subject`` is the thing itself (a host, a
    capability name, a variable), for matching and grouping; ``confidence_ppm`` is the rule's own prior; ``context`` is ``use``
    where the text asks or does, ``mention`` where it is quoted, warned of or tested for (a mention never blocks)."""

    kind: FactKind
    rule_id: str
    title: str
    category: str
    severity: Severity
    location: Location
    subject: str
    excerpt: str
    confidence_ppm: int
    context: str = "use"

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON of the fact; the form that is hashed."""
        at = self.location
        return {
            "kind": self.kind.value,
            "ruleId": self.rule_id,
            "title": self.title,
            "category": self.category,
            "severity": self.severity.value,
            "file": at.file,
            "layer": at.layer,
            "lineStart": at.line_start,
            "lineEnd": at.line_end,
            "byteStart": at.byte_start,
            "byteEnd": at.byte_end,
            "subject": self.subject,
            "excerpt": self.excerpt,
            "confidencePpm": self.confidence_ppm,
            "context": self.context,
        }


def canonical_order(fact: Mapping[str, Any]) -> tuple[Any, ...]:
    """The key by which JSON facts are sorted in a facts document."""
    return tuple(fact[key] for key in ("file", "byteStart", "ruleId", "layer", "subject", "byteEnd", "context"))


@dataclass(frozen=True)
class FactsDocument:
    """The facts document of one package: plain JSON data with the top-level keys

    ``schema, sandboxVersion, rulePackHash, policyHash, package, declared, facts[], coverage, sourceFacts,
    endpointReview, risk``. ``risk`` is ``{sandboxRiskLevel, securityLevel, score, retainedErrors[], retainedWarnings[],
    blockingSignals[{kind, ruleId, reason, file, line}], contributions[{ruleId, weight, count}], joint}``, where ``joint``
    is null or tells how facts block together; ``coverage`` is ``{complete, files[], incidents[]}``.
    """

    document: Mapping[str, Any]

    @classmethod
    def of(cls, content: bytes) -> FactsDocument:
        """The document that was written as `canonical_bytes`: they are not made again."""
        facts = cls(orjson.loads(content))
        facts.__dict__["canonical_bytes"] = content
        return facts

    @cached_property
    def canonical_bytes(self) -> bytes:
        """RFC 8785 bytes: what is stored."""
        return canonical_json(dict(self.document))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 hex of `canonical_bytes`: the identity of these facts."""
        return sha256_hex(self.canonical_bytes)

    @property
    def complete(self) -> bool:
        """Whether every byte of the package was accounted for. Incomplete facts can only escalate."""
        return bool(self.document["coverage"]["complete"])

    @property
    def facts(self) -> list[dict[str, Any]]:
        """All facts, in canonical order."""
        return list(self.document["facts"])

    @property
    def blocking_signals(self) -> list[dict[str, Any]]:
        """``[{kind, ruleId, reason, file, line}]``; not empty = can never be approved."""
        return list(self.document["risk"]["blockingSignals"])

    @property
    def risk_level(self) -> RiskLevel:
        """``sandboxRiskLevel``."""
        return RiskLevel(self.document["risk"]["sandboxRiskLevel"])

    @property
    def security_level(self) -> SecurityLevel:
        """``securityLevel``."""
        return SecurityLevel(self.document["risk"]["securityLevel"])
