"""What an analyser of code reports, in one vocabulary for all languages: capabilities, flows from a source to a sink, and hits of structural rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Source(StrEnum):
    """Where a value came from."""

    SECRET_FILE = "secret_file"
    SECRET_VARIABLE = "secret_variable"
    ENVIRONMENT = "environment"
    FILE = "file"
    FILES = "files"
    REMOTE = "remote"
    DECODED = "decoded"
    HOST_DATA = "host_data"
    PERSONAL = "personal"
    INPUT = "input"
    REQUEST = "request"


class Sink(StrEnum):
    """What a value reached."""

    SEND = "send"
    SEND_HEADER = "send_header"
    NAME_LOOKUP = "name_lookup"
    EXECUTE = "execute"
    EXECUTE_IN_LOOP = "execute_in_loop"
    AGENT_FILE = "agent_file"
    AUTOSTART = "autostart"
    LOG = "log"


class Ability(StrEnum):
    """Capabilities of the facts document."""

    NETWORK = "network"
    PROCESS = "process"
    SHELL = "shell"
    FILE_READ = "file_read"
    FILE_WRITE = "file_write"
    ENVIRONMENT = "env"
    SECRET_READ = "secret_read"
    PERSISTENCE = "persistence"
    AGENT_CONFIG = "agent_config_write"
    WALLET = "wallet"
    CLIPBOARD = "clipboard"
    DYNAMIC_CODE = "dynamic_code"
    INSTALL_HOOK = "install_hook"
    REMOTE_INSTRUCTIONS = "remote_instructions"


Label = tuple[Source, str]
"""A source and what it was (a path, a variable, a host)."""


Labels = frozenset[Label]
NO_LABELS: Labels = frozenset()
MAX_LABELS = 8
"""Labels that one value keeps; more would not change what is reported."""

SENDABLE = (
    Source.SECRET_FILE,
    Source.SECRET_VARIABLE,
    Source.ENVIRONMENT,
    Source.FILE,
    Source.FILES,
    Source.HOST_DATA,
    Source.PERSONAL,
)
"""Sources whose arrival at the network matters."""


def join(*sets: Labels) -> Labels:
    """All labels of ``sets``, the first `MAX_LABELS` in order where there are more."""
    joined = NO_LABELS.union(*sets)
    return joined if len(joined) <= MAX_LABELS else frozenset(sorted(joined)[:MAX_LABELS])


def only(labels: Labels, *sources: Source) -> Labels:
    """Those of ``labels`` that come from ``sources``."""
    return frozenset(label for label in labels if label[0] in sources)


def but(labels: Labels, source: Source) -> Labels:
    """Those of ``labels`` that do not come from ``source``."""
    return frozenset(label for label in labels if label[0] is not source) if labels else labels


@dataclass(frozen=True, slots=True)
class Capability:
    """``subject`` is what it is used on: a host, a path, a command name."""

    ability: Ability
    subject: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Flow:
    """A value from ``source`` (``origin`` names it) reached ``sink`` (``target`` is a URL, host, path or command)."""

    source: Source
    origin: str
    sink: Sink
    target: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A structural rule matched."""

    rule_id: str
    subject: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Embedded:
    """Text that code holds or hands to an interpreter: to be read again as ``language`` (``shell``, ``python``, ``text`` …)."""

    step: str
    language: str
    text: str
    start: int
    end: int


@dataclass
class Observations:
    """What one analysis of one text found, in the order found; duplicates are dropped."""

    capabilities: dict[Capability, None] = field(default_factory=dict)
    flows: dict[Flow, None] = field(default_factory=dict)
    hits: dict[Hit, None] = field(default_factory=dict)
    embedded: dict[Embedded, None] = field(default_factory=dict)
    bounds: dict[str, None] = field(default_factory=dict)

    def can(self, ability: Ability, subject: str, start: int, end: int) -> None:
        """Report a capability."""
        self.capabilities[Capability(ability, subject[:200], start, end)] = None

    def flow(self, labels: frozenset[Label], sink: Sink, target: str, start: int, end: int) -> None:
        """Report that a value with ``labels`` reached ``sink``."""
        for source, origin in sorted(labels):
            self.flows[Flow(source, origin[:200], sink, target[:300], start, end)] = None

    def hit(self, rule_id: str, subject: str, start: int, end: int) -> None:
        """Report a structural rule's match."""
        self.hits[Hit(rule_id, subject[:200], start, end)] = None

    def embed(self, step: str, language: str, text: str, start: int, end: int) -> None:
        """Report text to be read again."""
        self.embedded[Embedded(step, language, text, start, end)] = None

    def bound(self, name: str) -> None:
        """Report that the bound called ``name`` was hit, so that something was not read as it is meant."""
        self.bounds[name] = None
