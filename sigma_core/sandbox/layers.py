"""Layers: the text of a file as it stands, and every text that decoding uncovers inside it, with a way back to a line that a person can open."""

from __future__ import annotations

import itertools
from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from sigma_core.sandbox.facts import Location


class FileKind(StrEnum):
    """What the bytes of a file or layer are, which decides the analysers that read it."""

    MARKDOWN = "markdown"
    PYTHON = "python"
    SHELL = "shell"
    JAVASCRIPT = "javascript"
    POWERSHELL = "powershell"
    CODE = "code"
    """Code in a language that has no analyser of its own."""
    JSON = "json"
    YAML = "yaml"
    TOML = "toml"
    NOTEBOOK = "notebook"
    HTML = "html"
    TEXT = "text"
    IMAGE = "image"
    FONT = "font"
    MEDIA = "media"
    DOCUMENT = "document"
    ARCHIVE = "archive"
    EXECUTABLE = "executable"
    BYTECODE = "bytecode"
    BINARY = "binary"
    EMPTY = "empty"


@dataclass(frozen=True)
class Layer:
    """One text to analyse.

    ``path`` says how the bytes were reached (empty for the file itself). ``origin`` is where a decoded layer sits in the file; without it the
    layer has the file's own lines. ``hidden`` is true where a person who opens the file does not see this text.
    """

    file: str
    text: str = field(repr=False)
    kind: FileKind
    path: str = ""
    origin: Location | None = None
    hidden: bool = False
    depth: int = 0

    @cached_property
    def _line_starts(self) -> array[int]:
        starts = array("L", [0])
        position = self.text.find("\n")
        while position >= 0:
            starts.append(position + 1)
            position = self.text.find("\n", position + 1)
        return starts

    @cached_property
    def _line_bytes(self) -> array[int]:
        """Byte offset of the start of each line; characters and bytes differ only outside ASCII."""
        starts = self._line_starts
        offsets = array("L", [0])
        for begin, end in itertools.pairwise(starts):
            offsets.append(offsets[-1] + len(self.text[begin:end].encode("utf-8", "surrogatepass")))
        return offsets

    def line(self, offset: int) -> int:
        """1-based line of a character offset within this layer."""
        return bisect_right(self._line_starts, offset)

    def around(self, offset: int) -> str:
        """What stands in the same line around ``offset``: enough for an excerpt, however long the line is."""
        offset = min(offset, len(self.text))
        starts = self._line_starts
        line = self.line(offset)
        end = starts[line] - 1 if line < len(starts) else len(self.text)
        return self.text[max(starts[line - 1], offset - 40) : min(end, offset + 240)]

    def before(self, offset: int) -> str:
        """What stands in the same line before ``offset``, at most 200 characters of it."""
        return self.text[max(self._line_starts[self.line(offset) - 1], offset - 200) : offset]

    def _byte(self, offset: int) -> int:
        if self.text.isascii():
            return offset
        index = bisect_right(self._line_starts, offset) - 1
        head = self.text[self._line_starts[index] : offset]
        return self._line_bytes[index] + len(head.encode("utf-8", "surrogatepass"))

    def locate(self, start: int, end: int) -> Location:
        """The location of the characters ``start:end``."""
        start = max(0, min(start, len(self.text)))
        end = max(start, min(end, len(self.text)))
        if self.origin is None:
            first, last = self.line(start), self.line(max(start, end - 1))
        else:
            first, last = self.origin.line_start, self.origin.line_end
        return Location(self.file, first, last, self._byte(start), self._byte(end), self.path)

    def child(self, step: str, text: str, kind: FileKind, start: int, end: int, *, hidden: bool = True) -> Layer:
        """The layer that decoding ``start:end`` of this one by ``step`` gave."""
        at = self.locate(start, end)
        label = f"{step}@{at.byte_start}"
        return Layer(
            file=self.file,
            text=text,
            kind=kind,
            path=f"{self.path}/{label}" if self.path else label,
            origin=at,
            hidden=hidden,
            depth=self.depth + 1,
        )
