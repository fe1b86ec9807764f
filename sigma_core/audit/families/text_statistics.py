"""Family ``text_statistics``: how documents are worded, the strongest window of sentences deciding.

The model is the sandbox's (`sigma_core.sandbox.wording`). The sandbox makes a fact only of wording that next to no honest
skill has; this family speaks up earlier, and on the text of its own view. It knows nothing of rules, flows and names.
"""

from __future__ import annotations

from collections.abc import Sequence

from sigma_core.audit.families.embedded import (
    Analysis,
    EmbeddedFamily,
    file_paths,
    quote_at,
    revision_of,
    strongest_first,
)
from sigma_core.audit.model import Finding, View
from sigma_core.canonical import sha256_hex
from sigma_core.policy import PPM
from sigma_core.sandbox.facts import FactsDocument, Severity
from sigma_core.sandbox.sentences import Sentence
from sigma_core.sandbox.wording import load_model
from sigma_core.sandbox.wording.windows import DOCUMENT_SUFFIXES, sentences_in
from sigma_core.submissions.package import Package, PackageFile

_SLOPE_PPM = 100
"""What a unit of margin is worth; 500,000 ppm is margin 0."""
_REPORTED_SCORE_PPM = 60_000


class TextStatistics(EmbeddedFamily):
    """A linear model over windows of sentences."""

    family = "text_statistics"
    revision = sha256_hex(f"{revision_of(__package__, 'text_statistics.py')} {load_model().revision}".encode())[:12]

    def analyse(self, package: Package, facts: FactsDocument, view: View) -> Analysis:  # noqa: ARG002
        """Score: the highest of any window of any document."""
        score, findings = 0, []
        for file in package.files:
            if not file.path.lower().endswith(DOCUMENT_SUFFIXES):
                continue
            text = file.content.decode("utf-8", "replace")
            sentences = sentences_in(text)
            for window in load_model().windows(sentences):
                ppm = min(max(PPM // 2 + window.margin * _SLOPE_PPM, 0), PPM)
                score = max(score, ppm)
                if ppm >= _REPORTED_SCORE_PPM:
                    findings.append(_finding(file, text, sentences[window.first : window.last + 1], ppm))
        return Analysis(
            score, strongest_first(finding for finding in findings if finding is not None), file_paths(package)
        )


def _finding(file: PackageFile, text: str, window: Sequence[Sentence], ppm: int) -> Finding | None:
    """The window quoted, with the words that weigh most in it."""
    said = text[window[0].start : window[-1].end]
    start = window[0].start + len(said) - len(said.lstrip())
    quoted = quote_at(file.content, len(text[:start].encode()), len(text[: window[-1].end].encode()))
    if quoted is None:
        return None
    line_start, line_end, quote = quoted
    return Finding(
        severity=Severity.MEDIUM,
        category="statistical_anomaly",
        file=file.path,
        line_start=line_start,
        line_end=line_end,
        quote=quote,
        rationale=f"worded like instructions that harm; heaviest: {', '.join(load_model().heaviest(window))}"[:400],
        confidence_ppm=ppm,
    )
