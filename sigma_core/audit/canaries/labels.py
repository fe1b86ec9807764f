"""What the bank's texts are. The assembly reads this to settle a round; nothing that is shown to a validator is made with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from sigma_core.audit.canaries.bank import FILES, PACKAGES
from sigma_core.audit.model import Verdict


@dataclass(frozen=True, slots=True)
class Label:
    """The truth about a text; ``defect`` is one of `grounding.Category`, empty for an honest one."""

    verdict: Verdict
    defect: str


def package_label(item: str) -> Label:
    """The label of a package's text. Raises KeyError for an item that the bank does not have."""
    return _labels()[PACKAGES][item]


def defect_of_file(item: str) -> str:
    """The known defect of a text for planting: all of them have one. Raises KeyError."""
    return _labels()[FILES][item].defect


@cache
def _labels() -> Mapping[str, Mapping[str, Label]]:
    document = json.loads(resources.files(__package__).joinpath("labels.json").read_bytes())
    return {
        shelf: {item: Label(Verdict(label["label"]), label["defect"] or "") for item, label in labels.items()}
        for shelf, labels in document.items()
    }
