"""Configuration wherever it is written: files of a format, and listings in documents that a person or agent is to copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sigma_core.sandbox.kinds import kind_of_language
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.text_places import TextPlaces

MAX_LISTING = 65_536
"""Characters of one listing that are read; honest ones are a page."""
_FORMATS = frozenset({FileKind.JSON, FileKind.YAML, FileKind.TOML})
_READ = _FORMATS | {None}
_DOCUMENTS = frozenset({FileKind.MARKDOWN, FileKind.TEXT})


@dataclass(frozen=True, slots=True)
class Listing:
    """Configuration at ``start`` of a file's text; ``context`` says whether it is to be used or shown (``use``, ``mention``)."""

    text: str
    start: int
    context: str


def may_hold_configuration(place: TextPlaces) -> bool:
    """Whether the file is of a kind that `configuration_listings` reads."""
    return place.kind in _FORMATS or place.kind in _DOCUMENTS


def configuration_listings(place: TextPlaces) -> Iterator[Listing]:
    """The whole of a file in JSON, YAML or TOML; each listing of a document in one of them, or in no known language."""
    if place.kind in _FORMATS:
        yield Listing(place.text[:MAX_LISTING], 0, "use")
    elif place.kind in _DOCUMENTS:
        for fence in place.fences:
            if kind_of_language(fence.language) in _READ:
                yield Listing(fence.text[:MAX_LISTING], fence.start, "mention" if fence.cautionary else "use")
