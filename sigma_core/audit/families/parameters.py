"""The parameters that validators of each embedded family declare: names, defaults and the range that counts as honest.

A round needs ten SAFE votes, so even the strictest setting of a range must leave honest published skills alone; the
ranges were set where it does (``tests/bench/families.py`` prints the false-positive rate at both ends).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared integer: ``lowest`` and ``highest`` are inclusive; for a threshold, low is strict."""

    name: str
    default: int
    lowest: int
    highest: int
    meaning: str


_THRESHOLD = "suspicion in ppm at which the verdict is UNSAFE"

FAMILY_PARAMETERS: Mapping[str, tuple[Parameter, ...]] = MappingProxyType(
    {
        "rules_taint": (Parameter("threshold_ppm", 500_000, 460_000, 650_000, _THRESHOLD),),
        "signatures": (Parameter("threshold_ppm", 500_000, 450_000, 590_000, _THRESHOLD),),
        "capability_difference": (Parameter("threshold_ppm", 460_000, 400_000, 500_000, _THRESHOLD),),
        "text_statistics": (Parameter("threshold_ppm", 120_000, 90_000, 180_000, _THRESHOLD),),
    }
)
"""By family name, in the order in which families are listed everywhere."""
