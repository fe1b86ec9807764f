"""What clients of the verify answer rely on: the names that the specification fixes, and recorded answers with values of our own.

Held against the answers that the core builds and against those that HTTP gives.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORDED: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("verify_answers.json").read_text(encoding="utf-8")
)
"""By product type; never recorded anew to make a test pass: a field that is missing here is missing to a client."""

FIXED = {
    "": "valid status summary activeFlagCount securityLevel sandboxRiskLevel skillName skillVersion certificateIssuedAt "
    "roundType retainedWarnings endpointStatus apiDisclaimer manifest endpointReview review source onChain roundId roundNumber "
    "triggerSource devNotes skillHash submissionId productType sourceRef sourceUrl signature smartContract sourceFacts",
    "review": "securityLevel retainedErrors retainedWarnings sandboxRiskLevel sandboxAnalyzedAt",
    "source": "entry sourceRef sourceUrl sourceType",
    "manifest": "safety capabilities externalCalls",
    "manifest.safety": "network filesystem",
    "manifest.externalCalls[]": "url auth method reason",
    "endpointReview": "analyzedAt analysisMode observedUrls observedHosts endpointStatus skippedEndpoints declaredEndpoints "
    "disclosureWarning",
    "endpointReview.skippedEndpoints[]": "path reason",
    "onChain": "network txHash explorerUrl committed codeVersion registryAddress",
    "sourceFacts": "externalHosts manifestMismatchCount blocked shell env process filesystem network wallet "
    "promptInjectionSignalCount realSecretSignalCount highRiskSignalCount",
}
"""The names that spec/surfaces.md fixes ("Verify answers with"), by the object that holds them."""


def missing(answer: dict[str, Any]) -> list[str]:
    """The fixed names that ``answer`` does not have, with their places; a list that is empty has none to miss."""
    return [
        f"{place}.{name}".lstrip(".")
        for place, names in FIXED.items()
        for found in at(answer, place)
        for name in names.split()
        if name not in found
    ]


def at(answer: Any, place: str) -> list[Any]:
    """The object at ``place``, or, after ``[]``, every one of the list."""
    found = [answer]
    for step in place.split(".") if place else []:
        found = [each[step.removesuffix("[]")] for each in found]
        if step.endswith("[]"):
            found = [item for each in found for item in each]
    return found


def differences(recorded: Any, today: Any, place: str = "$") -> Iterator[str]:
    """What a client that reads ``recorded`` would miss in ``today``; null on either side may be something on the other, additions
    do no harm."""
    if recorded is None or (today is None and place in NULLABLE):
        return
    if type(recorded) is not type(today):
        yield f"{place} was {type(recorded).__name__} and is {type(today).__name__}"
    elif isinstance(recorded, dict):
        for name, value in recorded.items():
            if name in today:
                yield from differences(value, today[name], f"{place}.{name}")
            elif f"{place}.{name}" not in OPTIONAL:
                yield f"{place}.{name} is gone"
    elif isinstance(recorded, list) and recorded and today:
        yield from differences(recorded[0], today[0], f"{place}[]")


OPTIONAL = {"$.onChain.immutableCommitmentScope"}
"""Only while there is no commitment."""
NULLABLE = {"$.statusList", "$.skillVersion", "$.skillHash", "$.sourceUrl", "$.sourceRef"}
