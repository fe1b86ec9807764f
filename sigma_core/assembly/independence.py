"""How many independent opinions a panel amounts to, and what kind they are; both are inside the certificate.

Kish's effective sample size of n voters with pairwise error correlation ρ is n² / Σ_ij ρ_ij, with ρ_ii = 1; for one ρ
throughout that is n / (1 + (n − 1)ρ). (L. Kish, Survey Sampling, 1965.) Ten judges at ρ = 0.5 are 1.8.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import isqrt
from typing import Any

from sigma_core.canonical import sha256_of
from sigma_core.policy import PPM


class FamilyKind(StrEnum):
    """What a model family is made of."""

    DETERMINISTIC = "DETERMINISTIC"
    LANGUAGE_MODEL = "LANGUAGE_MODEL"


@dataclass(frozen=True)
class Calibration:
    """What is known of the families: their kinds, and the error correlation (ppm) of two different validators by their
    families, measured on canaries and labelled packages; the key of a pair is in sorted order, (f, f) for two of one
    family.
    """

    kinds: Mapping[str, FamilyKind]
    correlation_ppm: Mapping[tuple[str, str], int]

    def between(self, first: str, second: str) -> int:
        """Correlation in ppm. What was not measured counts as 1, a negative one (two voters as more than two) as 0."""
        measured = self.correlation_ppm.get((min(first, second), max(first, second)), PPM)
        return min(max(measured, 0), PPM)

    def as_json(self) -> dict[str, Any]:
        """``{kinds: {family: kind}, correlations: [{families: [f, g], ppm}]}``, sorted."""
        return {
            "kinds": {family: kind.value for family, kind in sorted(self.kinds.items())},
            "correlations": [
                {"families": list(pair), "ppm": ppm} for pair, ppm in sorted(self.correlation_ppm.items())
            ],
        }

    @cached_property
    def hash(self) -> str:
        """SHA-256 hex of the canonical JSON."""
        return sha256_of(self.as_json())


def error_correlation_ppm(votes: int, first: int, second: int, common: int) -> int | None:
    """The phi coefficient in ppm of two voters' errors, by integers: of ``votes`` that both cast, ``first`` and ``second`` were
    wrong, ``common`` of them together. None where one was always or never wrong, which leaves it undefined."""
    spread = isqrt(first * (votes - first) * second * (votes - second))
    return (common * votes - first * second) * PPM // spread if spread else None


def effective_votes_ppm(families: Iterable[str], calibration: Calibration) -> int:
    """Kish n_eff in ppm (1,000,000 = one independent vote) of voters by their families, rounded down; 0 for nobody."""
    voters = sorted(families)
    total = sum(
        PPM if i == j else calibration.between(first, second)
        for i, first in enumerate(voters)
        for j, second in enumerate(voters)
    )
    return len(voters) ** 2 * PPM * PPM // total if voters else 0


def assurance_level(families: Iterable[str], calibration: Calibration) -> int:
    """1 = deterministic engines only, 2 = mixed, 3 = two or more language-model families.

    A family of unknown kind counts as deterministic, the lowest. One language-model family alone is 2.
    """
    language_models = {f for f in families if calibration.kinds.get(f) is FamilyKind.LANGUAGE_MODEL}
    return min(len(language_models), 2) + 1
