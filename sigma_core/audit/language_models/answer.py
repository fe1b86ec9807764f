"""The closed answer: its JSON schema, and the strict reading of what came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sigma_core.audit.grounding import Category, is_grounded
from sigma_core.audit.language_models.packing import without_marks
from sigma_core.audit.model import Finding, Verdict
from sigma_core.canonical import NotCanonical, parse_strict_json
from sigma_core.policy import PPM, AuditRules
from sigma_core.sandbox.facts import Severity
from sigma_core.submissions.package import Package

MAX_CONFIDENCE = 100
MAX_RATIONALE_CHARACTERS = 600

_FINDING = {
    "severity": {"type": "string", "enum": [severity.value for severity in Severity]},
    "category": {"type": "string", "enum": [category.value for category in Category]},
    "file": {"type": "string"},
    "line_start": {"type": "integer"},
    "line_end": {"type": "integer"},
    "quote": {"type": "string"},
    "rationale": {"type": "string"},
    "confidence": {"type": "integer"},
}
_ANSWER = {
    "verdict": {"type": "string", "enum": [verdict.value for verdict in Verdict]},
    "confidence": {"type": "integer"},
    "findings": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": _FINDING,
            "required": list(_FINDING),
            "additionalProperties": False,
        },
    },
    "files_reviewed": {"type": "array", "items": {"type": "string"}},
    "canary_echo": {"type": "string"},
    "injection_attempt_seen": {"type": "boolean"},
}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": _ANSWER,
    "required": list(_ANSWER),
    "additionalProperties": False,
}
"""JSON Schema in the subset that every provider enforces: closed objects, all fields required, no bounds (those are ours)."""

_TYPES: Mapping[str, type] = {"string": str, "integer": int, "array": list, "boolean": bool, "object": dict}


class AnswerMalformed(Exception):
    """Not the JSON object of the schema. The text is ours, says what is wrong, and repeats nothing of the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A well-formed answer; whether it can be believed is `anomaly` and `grounding`."""

    verdict: Verdict
    confidence_ppm: int
    findings: tuple[Finding, ...]
    files_reviewed: tuple[str, ...]
    canary_echo: str
    injection_attempt_seen: bool

    def anomaly(self, files: Sequence[str], canary: str) -> str:
        """What makes this answer worth nothing, or an empty string: it read other files, missed the canary, or saw an attack
        on itself and says SAFE."""
        if self.canary_echo != canary:
            return "the canary was not repeated"
        if sorted(self.files_reviewed) != sorted(files):
            return "the reviewed files are not those that were shown"
        if self.verdict is Verdict.SAFE and self.injection_attempt_seen:
            return "SAFE with an injection attempt seen"
        return ""


def parse_answer(content: bytes) -> Answer:
    """Read an answer. Raises AnswerMalformed for anything but one JSON object that fits `SCHEMA` and our bounds."""
    try:
        document = parse_strict_json(content)
    except NotCanonical:
        raise AnswerMalformed("it is not one JSON object with text, integers and booleans only") from None
    fields = _fields(document, SCHEMA, "the answer")
    findings = tuple(
        _finding(_fields(entry, SCHEMA["properties"]["findings"]["items"], f"finding {number}"))
        for number, entry in enumerate(fields["findings"], start=1)
    )
    if not all(isinstance(path, str) for path in fields["files_reviewed"]):
        raise AnswerMalformed("files_reviewed holds something that is not text")
    return Answer(
        verdict=Verdict(fields["verdict"]),
        confidence_ppm=_ppm(fields["confidence"], "confidence"),
        findings=findings,
        files_reviewed=tuple(fields["files_reviewed"]),
        canary_echo=fields["canary_echo"],
        injection_attempt_seen=fields["injection_attempt_seen"],
    )


def as_in_the_file(finding: Finding, package: Package, rules: AuditRules) -> Finding:
    """The finding with its quote as the file has it, where the model copied our marks along; else unchanged.

    Grounding decides all the same: a quote that stands nowhere stays as it is and counts for nothing.
    """
    plain = without_marks(finding.quote)
    for quote in (finding.quote, plain, plain.replace("\n", "\r\n")):
        candidate = _with_quote(finding, quote)
        if is_grounded(candidate, package, rules):
            return candidate
    return finding


def _with_quote(finding: Finding, quote: str) -> Finding:
    return Finding(
        finding.severity,
        finding.category,
        finding.file,
        finding.line_start,
        finding.line_end,
        quote,
        finding.rationale,
        finding.confidence_ppm,
    )


def _finding(fields: dict[str, Any]) -> Finding:
    return Finding(
        severity=Severity(fields["severity"]),
        category=fields["category"],
        file=fields["file"],
        line_start=fields["line_start"],
        line_end=fields["line_end"],
        quote=fields["quote"],
        rationale=fields["rationale"][:MAX_RATIONALE_CHARACTERS],
        confidence_ppm=_ppm(fields["confidence"], "confidence of a finding"),
    )


def _fields(value: object, schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise AnswerMalformed(f"{name} is not an object")
    properties: Mapping[str, Mapping[str, Any]] = schema["properties"]
    missing = [field for field in properties if field not in value]
    if missing:
        raise AnswerMalformed(f"{name} lacks {missing[0]}")
    if len(value) != len(properties):
        raise AnswerMalformed(f"{name} has fields that the schema does not know")
    for field, rule in properties.items():
        if type(value[field]) is not _TYPES[rule["type"]]:
            raise AnswerMalformed(f"{field} of {name} is not of type {rule['type']}")
        if "enum" in rule and value[field] not in rule["enum"]:
            raise AnswerMalformed(f"{field} of {name} is none of the values in the schema")
    return value


def _ppm(value: int, name: str) -> int:
    if not 0 <= value <= MAX_CONFIDENCE:
        raise AnswerMalformed(f"{name} is not from 0 to {MAX_CONFIDENCE}")
    return value * (PPM // MAX_CONFIDENCE)
