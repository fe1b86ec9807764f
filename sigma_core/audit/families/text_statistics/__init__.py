"""Family ``text_statistics``: an integer linear model over hashed words and word pairs, the strongest window of each
package deciding.

It has no rule and knows no threat by name; it has seen how payloads are worded and how honest skills are. The model is
``model.json`` (`train` makes it and writes its held-out recall and false-positive rate into it). Inference uses
integers only, so every machine gives the same score.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from sigma_core.audit.families.embedded import Analysis, EmbeddedFamily, file_paths, revision_of, strongest_first
from sigma_core.audit.families.text_statistics.features import (
    DIMENSIONS,
    Window,
    features_of,
    margin,
    tokens_of,
    windows_of,
)
from sigma_core.audit.model import Finding, View
from sigma_core.policy import PPM
from sigma_core.sandbox.facts import FactsDocument, Severity
from sigma_core.submissions.package import Package, PackageFile

_REPORTED_SCORE_PPM = 350_000
_BINARY_SAMPLE_BYTES = 1_000
_MAX_QUOTE_CHARACTERS = 240


@dataclass(frozen=True, slots=True)
class _Model:
    weights: memoryview
    bias: int
    slope_ppm: int

    def score_ppm(self, features: frozenset[int]) -> int:
        """Suspicion of one window: 500,000 at the margin that training chose as threshold."""
        return max(0, min(PPM, PPM // 2 + (margin(self.weights, features) + self.bias) * self.slope_ppm))


@cache
def _model() -> _Model:
    document = json.loads(resources.files(__package__).joinpath("model.json").read_bytes())
    weights = memoryview(zlib.decompress(base64.b64decode(document["weights"]))).cast("b")
    if len(weights) != DIMENSIONS:
        raise ValueError(f"model.json has {len(weights)} weights, features.py hashes to {DIMENSIONS}; train again")
    return _Model(weights, document["bias"], document["slopePpm"])


class TextStatistics(EmbeddedFamily):
    """A linear model over windows of text."""

    family = "text_statistics"
    revision = revision_of(__package__, "__init__.py", "features.py", "model.json")

    def analyse(self, package: Package, facts: FactsDocument, view: View) -> Analysis:  # noqa: ARG002
        """Score: the highest of any window of any text file."""
        score, findings = 0, []
        for file in package.files:
            if b"\x00" in file.content[:_BINARY_SAMPLE_BYTES]:
                continue
            text = file.content.decode("utf-8", "replace")
            for window in windows_of(text):
                suspicion = _model().score_ppm(window.features)
                score = max(score, suspicion)
                if suspicion >= _REPORTED_SCORE_PPM:
                    findings.append(_finding(file, text, window, suspicion))
        return Analysis(
            score, strongest_first(finding for finding in findings if finding is not None), file_paths(package)
        )


def _finding(file: PackageFile, text: str, window: Window, suspicion: int) -> Finding | None:
    """The line of the window that weighs most, quoted, with the words that weigh most in it."""
    weights = _model().weights
    lines = text.split("\n")[window.first - 1 : window.last]
    sums = [sum(weights[feature] for feature in set(features_of(tokens_of(line)))) for line in lines]
    heaviest = max(range(len(lines)), key=lambda index: (sums[index], -index))
    quote = lines[heaviest].strip()[:_MAX_QUOTE_CHARACTERS]
    if len(quote) < 3 or "\ufffd" in quote:
        return None
    words = sorted(set(tokens_of(lines[heaviest])), key=lambda word: (-weights[features_of([word])[0]], word))
    return Finding(
        severity=Severity.MEDIUM,
        category="statistical_anomaly",
        file=file.path,
        line_start=window.first + heaviest,
        line_end=window.first + heaviest,
        quote=quote,
        rationale=f"worded like payloads, lines {window.first} to {window.last}; heaviest: {', '.join(words[:5])}"[
            :400
        ],
        confidence_ppm=suspicion,
    )
