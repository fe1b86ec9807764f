"""What the words of a certificate, of its findings and of a refused verification mean to somebody who reads them for the first time.

Nothing is explained here that has a table of its own: rules, refusals of verification and rules of intake are looked up there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sigma_core.certificates.refusals import MEANING
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.sandbox.facts import RiskLevel, SecurityLevel
from sigma_core.sandbox.rules import Rule, RuleBook
from sigma_core.submissions.refusal import RULES

MAX_RULES_SHOWN = 10


class Subject(StrEnum):
    """What a word is said of."""

    STATUS = "STATUS"
    SECURITY_LEVEL = "SECURITY_LEVEL"
    SANDBOX_RISK_LEVEL = "SANDBOX_RISK_LEVEL"
    RULE = "RULE"
    CATEGORY = "CATEGORY"
    VERIFICATION = "VERIFICATION"
    INTAKE = "INTAKE"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One meaning of ``code``; ``advice`` says what to do about it and may be empty."""

    code: str
    subject: Subject
    meaning: str
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON data."""
        return {"code": self.code, "subject": self.subject.value, "meaning": self.meaning, "advice": self.advice}


STATUS_ADVICE: dict[str, str] = {
    CertificateStatus.APPROVED: "use it within its manifest, if `valid` is true and the files are the certified ones",
    CertificateStatus.SUSPENDED: "do not use it until this has changed",
    CertificateStatus.REVOKED: "do not use it",
    CertificateStatus.REJECTED: "do not use it",
    CertificateStatus.ESCALATED: "it was not approved; a person looks at it",
    CertificateStatus.EXPIRED: "it was good once; ask for a new audit",
}

_STATUS: dict[str, str] = {
    CertificateStatus.APPROVED: "the validators approved exactly these files, and nobody has withdrawn that since",
    CertificateStatus.SUSPENDED: "it was approved, and is held back while something is looked into",
    CertificateStatus.REVOKED: "it was approved, and was withdrawn for good",
    CertificateStatus.REJECTED: "the validators did not approve it",
    CertificateStatus.ESCALATED: "the validators did not agree, so a person decides",
    CertificateStatus.EXPIRED: "it was approved, for a time that is over",
}
_SECURITY: dict[str, str] = {
    SecurityLevel.CLEAR: "nothing stands that a reader has to be told of",
    SecurityLevel.NOTICE: "something stands that is worth knowing and usual for what it does",
    SecurityLevel.WARNING: "something stands that you should look at before you use it; see retainedWarnings",
    SecurityLevel.DANGER: "something stands that does harm; see retainedErrors",
}
_RISK: dict[str, str] = {
    RiskLevel.LOW: "the facts together amount to little",
    RiskLevel.MEDIUM: "the facts together ask for a look",
    RiskLevel.HIGH: "the facts together weigh heavily",
    RiskLevel.CRITICAL: "the facts together amount to an attack, or one of them does by itself",
}

_WORDS: dict[Subject, Mapping[Any, str]] = {
    Subject.STATUS: _STATUS,
    Subject.SECURITY_LEVEL: _SECURITY,
    Subject.SANDBOX_RISK_LEVEL: _RISK,
    Subject.VERIFICATION: MEANING,
    Subject.INTAKE: RULES,
}


def explain(code: str, book: RuleBook) -> list[Explanation]:
    """Every meaning of ``code``, a word of a certificate or of an error; none for one that SIGMA does not use."""
    found: list[Explanation] = []
    if code in book.rules:
        found.append(_rule(book.rules[code]))
    for subject, meanings in _WORDS.items():
        if code in meanings:
            found.append(
                Explanation(
                    code, subject, meanings[code], STATUS_ADVICE.get(code, "") if subject is Subject.STATUS else ""
                )
            )
    if members := sorted(rule.id for rule in book.rules.values() if rule.category == code):
        found.append(_category(code, [book.rules[identifier] for identifier in members]))
    return found


def _rule(rule: Rule) -> Explanation:
    severity = f"{rule.severity.value}{', blocks approval where it is in use' if rule.blocks else ''}"
    return Explanation(rule.id, Subject.RULE, f"{rule.title} ({severity}): {rule.rationale}", rule.fix)


def _category(category: str, rules: list[Rule]) -> Explanation:
    titles = "; ".join(f"{rule.id} {rule.title}" for rule in rules[:MAX_RULES_SHOWN])
    more = f"; and {len(rules) - MAX_RULES_SHOWN} more" if len(rules) > MAX_RULES_SHOWN else ""
    return Explanation(category, Subject.CATEGORY, f"findings of these rules: {titles}{more}")
