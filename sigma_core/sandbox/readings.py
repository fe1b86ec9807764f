"""What the reading of one file gave, as plain data: findings of rules, and capabilities and flows with their place."""

from __future__ import annotations

from dataclasses import dataclass, field

from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.lock_files import LockFile
from sigma_core.sandbox.observations import Capability, Flow

MAX_SUBJECT = 120
"""Characters of a match that are its subject."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's match: where, on what, shown, told or meant, and whether a decoding was needed to see it."""

    rule_id: str
    subject: str
    location: Location
    line_text: str
    context: str
    hidden: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A capability or flow with its place. ``in_prose`` is true for a command or listing inside a document."""

    what: Capability | Flow
    location: Location
    line_text: str
    context: str
    hidden: bool
    in_prose: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """An instruction in prose, still to be weighed by the destinations that it names, and by those that its words are ``linked`` to."""

    finding: Finding
    remotes: tuple[str, ...]
    linked: tuple[str, ...]


@dataclass
class Reading:
    """Everything that one file gave."""

    path: str
    kind: FileKind = FileKind.EMPTY
    findings: list[Finding] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    urls: list[tuple[str, str, Location, bool]] = field(default_factory=list)
    text: str = ""
    layers: int = 0
    partial: str = ""
    incidents: list[tuple[str, str]] = field(default_factory=list)
    fragments: list[tuple[str, Location]] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list, repr=False)
    lock: LockFile | None = None
