"""A file planted into one seat's view: which seats get one, what they are shown, and what their answer says.

A planted view is shown beside the seat's own view, never in its place: the vote is on what the developer sent and on nothing else, so
that no finding has to be taken out of it afterwards and nothing ever turns UNSAFE into SAFE. What the validator says about the
planted view counts for one thing only: whether it cites the planted file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sigma_core.audit.canaries.bank import Draws, planted_file
from sigma_core.audit.model import Verdict
from sigma_core.policy import PPM, CanaryRules
from sigma_core.submissions.member_names import TakenNames
from sigma_core.submissions.package import Package, PackageFile, sorted_files


class Answer(StrEnum):
    """What came of a planted file. UNCLEAR: the engine abstained without citing it, which says nothing."""

    CAUGHT = "CAUGHT"
    MISSED = "MISSED"
    UNCLEAR = "UNCLEAR"


@dataclass(frozen=True, slots=True)
class Plant:
    """The text and the variant that a seat's view gets."""

    item: str
    variant: str

    def file(self, taken: TakenNames) -> PackageFile | None:
        """The file, under a path that goes with those ``taken``; None where none does, and then nothing is planted."""
        return planted_file(self.item, self.variant, taken)


def plant_of(seat_seed: str, family: str, rules: CanaryRules) -> Plant | None:
    """What is planted for a seat of ``family``, or None. ``seat_seed`` (hex) follows from the round's seed and the seat."""
    texts = rules.files.get(family, ())
    draws = Draws("planted-file", seat_seed)
    if draws.below(PPM) >= rules.file_rate_ppm or not texts:
        return None
    return Plant(draws.one_of(texts), seat_seed)


def with_file(package: Package, file: PackageFile) -> Package:
    """The package with one more member, in its place among the others."""
    return replace(package, files=sorted_files([*package.files, file]))


def answer_of(verdict: Mapping[str, Any], path: str) -> Answer:
    """What a verdict on a planted view (`AuditResult.as_json`, grounded) says about the file at ``path``."""
    if any(finding["file"] == path for finding in verdict["findings"]):
        return Answer.CAUGHT
    return Answer.UNCLEAR if verdict["verdict"] == Verdict.ABSTAIN else Answer.MISSED
