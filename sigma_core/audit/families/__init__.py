"""The four embedded families: deterministic, without key or network, different in kind, each with its own errors.

========================  ==========================================================  ==================================
family                    looks at                                                    misses
========================  ==========================================================  ==================================
``rules_taint``           flows and threats that parsing finds, where they stand      what has no flow: words, new sinks
``signatures``            bytes and decoded layers, against rules of known malice     what is newly worded
``capability_difference`` what the code can do and the author did not say             loud malice that is declared
``text_statistics``       how passages are worded, against training text              payloads worded like honest work
========================  ==========================================================  ==================================

They are imported on first use, so that ``import sigma_core`` stays quick.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module, resources
from typing import TYPE_CHECKING

from sigma_core.assembly.independence import Calibration, FamilyKind
from sigma_core.audit.families.parameters import FAMILY_PARAMETERS, Parameter
from sigma_core.errors import SigmaError

if TYPE_CHECKING:
    from sigma_core.audit.families.embedded import EmbeddedFamily

__all__ = [
    "FAMILY_PARAMETERS",
    "Parameter",
    "UnknownFamily",
    "calibration",
    "embedded_families",
    "embedded_family",
    "parameter_ranges",
]

_CLASSES = {
    "rules_taint": "RulesTaint",
    "signatures": "Signatures",
    "capability_difference": "CapabilityDifference",
    "text_statistics": "TextStatistics",
}


class UnknownFamily(SigmaError):
    """A name that is not one of the embedded families."""

    code = "AUDIT_FAMILY_UNKNOWN"


@cache
def embedded_family(name: str) -> EmbeddedFamily:
    """The one instance of a family in this process, which remembers its analyses. Raises UnknownFamily."""
    if name not in _CLASSES:
        raise UnknownFamily(f"no embedded audit family is called {name!r}", hint=f"one of {', '.join(_CLASSES)}")
    made = getattr(import_module(f"{__name__}.{name}"), _CLASSES[name])()
    return made  # type: ignore[no-any-return]


def embedded_families() -> tuple[EmbeddedFamily, ...]:
    """All four, in the order of `FAMILY_PARAMETERS`."""
    return tuple(embedded_family(name) for name in FAMILY_PARAMETERS)


def parameter_ranges() -> dict[str, dict[str, tuple[int, int]]]:
    """Family → parameter → ``(lowest, highest)``: what a population draws its validators from."""
    return {
        family: {parameter.name: (parameter.lowest, parameter.highest) for parameter in parameters}
        for family, parameters in FAMILY_PARAMETERS.items()
    }


@cache
def calibration() -> Calibration:
    """What was measured of the four: the correlation of their errors on labelled packages
    (``tests/bench/families.py``)."""
    document = json.loads(resources.files(__name__).joinpath("error_correlation.json").read_bytes())
    return Calibration(
        kinds=dict.fromkeys(FAMILY_PARAMETERS, FamilyKind.DETERMINISTIC),
        correlation_ppm={tuple(pair["families"]): pair["ppm"] for pair in document["pairs"]},
    )
