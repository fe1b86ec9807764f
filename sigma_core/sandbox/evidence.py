"""Evidence from others: what rules and scanners that are not SIGMA's say about a package.

It stands beside the facts, never among them: no hash of ours covers it, it changes no decision, and each document names its source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sigma_core.sandbox.facts import Severity
from sigma_core.sandbox.secrets import redact
from sigma_core.submissions.refusal import printable

MAX_FINDINGS = 2_000


@dataclass(frozen=True, slots=True, order=True)
class ForeignFinding:
    """One thing that the source says. ``file`` is a path of the package, or empty; lines are 1-based, 0 = not said."""

    file: str
    line_start: int
    rule_id: str
    line_end: int
    severity: Severity
    title: str
    subject: str = ""
    excerpt: str = ""

    def as_json(self) -> dict[str, Any]:
        """``{ruleId, title, severity, file, lineStart, lineEnd, subject, excerpt}``."""
        return {
            "ruleId": self.rule_id,
            "title": self.title,
            "severity": self.severity.value,
            "file": self.file,
            "lineStart": self.line_start,
            "lineEnd": self.line_end,
            "subject": self.subject,
            "excerpt": self.excerpt,
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """One source's document. ``source`` names it with the hash of what it was read from (``yara:9f…``, ``sarif:41…``)."""

    source: str
    tool: str
    findings: tuple[ForeignFinding, ...]
    incidents: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """``{source, tool, findings[], incidents[]}``."""
        return {
            "source": self.source,
            "tool": self.tool,
            "findings": [finding.as_json() for finding in self.findings],
            "incidents": list(self.incidents),
        }


def short(text: str) -> str:
    """Foreign text for a report: one line, printable, without secrets, at most 200 characters."""
    return printable(redact(" ".join(text[:600].split())))
