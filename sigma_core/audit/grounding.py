"""The boundary in code around every audit model: what a result must be before its vote counts.

No prompt holds against an adaptive author and an engine may be broken, so nothing that an engine says is taken on
trust. A finding counts when its quote stands verbatim at the lines it names; a verdict counts when its evidence does.
Whatever is out of order makes the seat ABSTAIN: nothing in here ever turns a result into SAFE.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from sigma_core.audit.model import AuditResult, Finding, Verdict
from sigma_core.policy import PPM, AuditRules
from sigma_core.sandbox.facts import Severity
from sigma_core.submissions.package import Package


class Category(StrEnum):
    """What a finding may be about: the closed list that engines choose from."""

    PROMPT_INJECTION = "prompt_injection"
    REVIEWER_MANIPULATION = "reviewer_manipulation"
    EXFILTRATION = "exfiltration"
    CREDENTIAL_ACCESS = "credential_access"
    REMOTE_CODE = "remote_code"
    REMOTE_INSTRUCTIONS = "remote_instructions"
    COMMAND_INJECTION = "command_injection"
    PERSISTENCE = "persistence"
    PRIVILEGE_ESCALATION = "privilege_escalation"
    DEFENSE_EVASION = "defense_evasion"
    OBFUSCATION = "obfuscation"
    DESTRUCTION = "destruction"
    MEMORY_POISONING = "memory_poisoning"
    CONCEALMENT = "concealment"
    SUPPLY_CHAIN = "supply_chain"
    UNDECLARED_CAPABILITY = "undeclared_capability"
    SOCIAL_ENGINEERING = "social_engineering"
    FINANCIAL_ACCESS = "financial_access"
    RESOURCE_ABUSE = "resource_abuse"
    STATISTICAL_ANOMALY = "statistical_anomaly"


_CATEGORIES = frozenset(Category)
_MAX_RATIONALE_CHARACTERS = 600
_MAX_REASON_CHARACTERS = 600
_MAX_NAME_CHARACTERS = 200
_MAX_PATH_CHARACTERS = 512


def is_grounded(finding: Finding, package: Package, rules: AuditRules) -> bool:
    """Whether the quote stands verbatim in lines ``line_start`` to ``line_end`` (1-based, inclusive, LF ends a line) of
    its file.

    Bytes that are not UTF-8 are compared as U+FFFD, the form in which an engine saw them.
    """
    file = package.by_path.get(finding.file)
    if (
        file is None
        or not rules.min_quote_characters <= len(finding.quote.strip())
        or len(finding.quote) > rules.max_quote_characters
    ):
        return False
    lines = file.content.split(b"\n")
    if not 1 <= finding.line_start <= finding.line_end <= len(lines):
        return False
    passage = b"\n".join(lines[finding.line_start - 1 : finding.line_end]).decode("utf-8", "replace")
    return finding.quote in passage


def ground(result: AuditResult, package: Package, rules: AuditRules) -> AuditResult:
    """The result as it counts: findings that are not grounded in ``package`` (the view that was audited) are gone.

    ABSTAIN, with the reason, when the file list differs from the package's, when a field is out of its type or range,
    when there are more findings than ``rules.max_findings_per_verdict`` or when UNSAFE is left without a grounded
    finding. A SAFE that carries findings stays SAFE only if none is HIGH or CRITICAL and grounded: such a result
    contradicts itself.
    """
    anomaly = _anomaly(result, package, rules)
    if anomaly:
        return _abstained(result, (), anomaly)
    grounded = tuple(finding for finding in result.findings if is_grounded(finding, package, rules))
    if result.verdict is Verdict.UNSAFE and not grounded:
        return _abstained(result, grounded, "UNSAFE without a finding that stands in the files")
    if result.verdict is Verdict.SAFE and any(f.severity in (Severity.HIGH, Severity.CRITICAL) for f in grounded):
        return _abstained(result, grounded, "SAFE with a grounded finding of HIGH or CRITICAL severity")
    return replace(result, findings=grounded)


def _abstained(result: AuditResult, findings: tuple[Finding, ...], reason: str) -> AuditResult:
    """The same engine's ABSTAIN. Fields that may be malformed are replaced, so that the result can be stored and
    hashed."""
    family = result.family if _is_text(result.family, _MAX_NAME_CHARACTERS) else ""
    revision = result.revision if _is_text(result.revision, _MAX_NAME_CHARACTERS) else ""
    return AuditResult(
        verdict=Verdict.ABSTAIN,
        findings=findings,
        files_reviewed=tuple(path for path in _paths(result.files_reviewed) if _is_text(path, _MAX_PATH_CHARACTERS)),
        score_ppm=result.score_ppm if _is_ppm(result.score_ppm) else 0,
        family=family,
        revision=revision,
        reason=reason,
    )


def _anomaly(result: AuditResult, package: Package, rules: AuditRules) -> str:
    """The first thing that is out of order, or an empty string."""
    if not isinstance(result.verdict, Verdict):
        return "verdict is none of SAFE, UNSAFE, ABSTAIN"
    if _paths(result.files_reviewed) != sorted(file.path for file in package.files):
        return "files_reviewed differs from the file list"
    if not _is_ppm(result.score_ppm):
        return "score_ppm is not an integer from 0 to 1,000,000"
    if not _is_text(result.reason, _MAX_REASON_CHARACTERS) or not all(
        _is_text(text, _MAX_NAME_CHARACTERS) and text for text in (result.family, result.revision)
    ):
        return "family, revision or reason is not text within its bound"
    if not isinstance(result.findings, tuple) or len(result.findings) > rules.max_findings_per_verdict:
        return f"findings are not a list of at most {rules.max_findings_per_verdict}"
    for number, finding in enumerate(result.findings, start=1):
        flaw = _flaw(finding)
        if flaw:
            return f"finding {number}: {flaw}"
    return ""


def _flaw(finding: Finding) -> str:
    if not isinstance(finding, Finding):
        return "not a finding"
    if not isinstance(finding.severity, Severity):
        return "severity is not in the list"
    if not isinstance(finding.category, str) or finding.category not in _CATEGORIES:
        return "category is not in the list"
    if not isinstance(finding.file, str) or not isinstance(finding.quote, str):
        return "file or quote is not text"
    if type(finding.line_start) is not int or type(finding.line_end) is not int:
        return "line is not an integer"
    if not _is_ppm(finding.confidence_ppm):
        return "confidence_ppm is not an integer from 0 to 1,000,000"
    return "" if _is_text(finding.rationale, _MAX_RATIONALE_CHARACTERS) else "rationale is not text within its bound"


def _paths(reviewed: object) -> list[str]:
    """The reviewed paths, sorted; empty where the field is not a list of texts."""
    if not isinstance(reviewed, tuple) or not all(isinstance(path, str) for path in reviewed):
        return []
    return sorted(reviewed)


def _is_ppm(value: object) -> bool:
    return type(value) is int and 0 <= value <= PPM


def _is_text(value: object, most: int) -> bool:
    """Text within a bound that has a UTF-8 form, so that it can be hashed."""
    if not isinstance(value, str) or len(value) > most:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
