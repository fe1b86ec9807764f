"""What the reading of a shell script passes around: resolved words, what commands write, and one command with its arguments."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from functools import cached_property

import re2
import tree_sitter

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import NO_LABELS, SENDABLE, Labels, Source, join, only

MAX_TEXT = 65_536
"""Characters that one resolved word keeps."""
ESCAPED = re2.compile(r"(?:\\(?:x[0-9a-fA-F]{1,2}|0?[0-7]{2,3})){8}")
"""Letters spelled as numbers, more of them in a row than any ornament of a terminal has."""


@dataclass(frozen=True, slots=True)
class Word:
    """A resolved word: its text (unknown parts as they stand), where its parts came from, whether it was put together, and the words of an array."""

    text: str
    labels: Labels = NO_LABELS
    built: bool = False
    items: tuple[Word, ...] = ()


@dataclass(slots=True)
class Stream:
    """What a command writes to its output; ``text`` is None where only its origin is known."""

    labels: Labels = NO_LABELS
    text: str | None = None


@dataclass(frozen=True)
class Call:
    """One command: its base name, the word that named it, its arguments, its input, and the syntax it stands at."""

    name: str
    path: str
    arguments: list[Word]
    stdin: Stream
    node: tree_sitter.Node

    @cached_property
    def texts(self) -> list[str]:
        """The arguments' texts."""
        return [word.text for word in self.arguments]

    @cached_property
    def labels(self) -> Labels:
        """Where the arguments' parts came from."""
        return join(*(word.labels for word in self.arguments))

    @cached_property
    def operands(self) -> list[str]:
        """The arguments that are not options."""
        return [text for text in self.texts if not text.startswith("-")]


def is_literal(stream: Stream) -> bool:
    """Whether ``stream`` is a text that stands in the script as it is."""
    return bool(stream.text) and "$" not in (stream.text or "") and not stream.labels


def sendable(labels: Labels) -> Labels:
    """Those of ``labels`` whose arrival at the network matters."""
    return only(labels, *SENDABLE)


def path_labels(text: str) -> Labels:
    """The secret file that ``text`` names, as a source."""
    secret = vocabulary.secret_file(text)
    if not secret or secret.startswith(("169.", "metadata")):
        return NO_LABELS
    return frozenset({(Source.FILE if secret.startswith(".env") else Source.SECRET_FILE, secret)})


def base_name(path: str) -> str:
    """The name by which a command is known: no folder, no extension, lower case."""
    return path.rpartition("/")[2].lower().removesuffix(".exe")


def unescape(text: str) -> str:
    """``text`` with the escapes of ``$'…'``, ``echo -e`` and ``printf`` resolved."""
    if "\\" not in text:
        return text
    try:
        plain = codecs.decode(text.encode("latin-1", "ignore"), "unicode_escape")
    except (UnicodeDecodeError, ValueError):
        return text
    return plain if plain.isascii() else plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
