"""Family ``text_statistics``: how documents are worded, and which passage stands out from its package.

The models are the sandbox's (`sigma_core.sandbox.wording`). The sandbox makes a fact only of wording that next to no honest
skill has; this family speaks up earlier, where suspected wording is also unlike the rest of the package, and on the text of
its own view. It knows nothing of rules and flows.
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
from sigma_core.sandbox.wording.context import Survey, Suspect, load_context
from sigma_core.sandbox.wording.windows import DOCUMENT_SUFFIXES, sentences_in
from sigma_core.submissions.package import Package, PackageFile

_THRESHOLD_PPM, _SLOPE_PPM = 165_000, 150
"""What margin 0 in context is worth, and each unit of it."""
_ALONE_PPM, _ALONE_SLOPE_PPM = 500_000, 127
"""The same for the margin of a window alone, which is a fact from 0 on."""
_REPORTED_SCORE_PPM = 60_000


class TextStatistics(EmbeddedFamily):
    """A linear model over windows of sentences, and one over how the most suspected windows stand in their package."""

    family = "text_statistics"
    revision = sha256_hex(
        f"{revision_of(__package__, 'text_statistics.py')} {load_model().revision} {load_context().revision}".encode()
    )[:12]

    def analyse(self, package: Package, facts: FactsDocument, view: View) -> Analysis:  # noqa: ARG002
        """Score: the highest of any suspected window of any document."""
        files = [file for file in package.files if file.path.lower().endswith(DOCUMENT_SUFFIXES)]
        survey = Survey(load_model())
        for file in files:
            survey.add(sentences_in(_text(file)))
        score, findings = 0, []
        for suspect in survey.suspects():
            ppm = _suspicion_ppm(suspect)
            score = max(score, ppm)
            if ppm >= _REPORTED_SCORE_PPM:
                findings.append(_finding(files[suspect.document], suspect.said, ppm))
        return Analysis(
            score, strongest_first(finding for finding in findings if finding is not None), file_paths(package)
        )


def _suspicion_ppm(suspect: Suspect) -> int:
    """Of a window: in its context or alone, whichever is more, since where a package is nothing else than harm no passage stands out."""
    in_context = _THRESHOLD_PPM + load_context().margin(suspect) * _SLOPE_PPM
    alone = _ALONE_PPM + suspect.window.margin * _ALONE_SLOPE_PPM
    return min(max(in_context, alone, 0), PPM)


def _text(file: PackageFile) -> str:
    return file.content.decode("utf-8", "replace")


def _finding(file: PackageFile, window: Sequence[Sentence], ppm: int) -> Finding | None:
    """The window quoted, with the words that weigh most in it."""
    text = _text(file)
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
