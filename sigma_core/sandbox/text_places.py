"""Findings in the text of one file as it stands: places by offset or line, and whether what stands there is meant or shown."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from sigma_core.sandbox.install_commands import InstallCommand, install_commands
from sigma_core.sandbox.layers import FileKind, Layer
from sigma_core.sandbox.markdown import Part, Segment, split_markdown
from sigma_core.sandbox.readings import Finding, Reading
from sigma_core.sandbox.required_words import words_of
from sigma_core.sandbox.use_or_mention import PLAIN_QUOTES, code_context, command_context, prose_context
from sigma_core.sandbox.worded_pattern import WordedPattern

_DOCUMENTS = frozenset({FileKind.MARKDOWN, FileKind.TEXT, FileKind.HTML})
_CODE = frozenset(
    {FileKind.PYTHON, FileKind.SHELL, FileKind.JAVASCRIPT, FileKind.POWERSHELL, FileKind.CODE, FileKind.NOTEBOOK}
)


class TextPlaces:
    """Makes findings in the text of ``reading``."""

    def __init__(self, reading: Reading) -> None:
        self.path = reading.path
        self.kind = reading.kind
        self.text = reading.text
        self._layer = Layer(reading.path, reading.text, reading.kind)

    @property
    def is_document(self) -> bool:
        """Whether people read the file: Markdown, plain text, HTML."""
        return self.kind in _DOCUMENTS

    @property
    def is_code(self) -> bool:
        """Whether the file is a program or script."""
        return self.kind in _CODE

    def at(self, rule_id: str, subject: str, start: int, end: int, context: str = "use") -> Finding:
        """A finding at the characters ``start:end``."""
        return Finding(
            rule_id, subject[:200], self._layer.locate(start, end), self._layer.around(start), context, False
        )

    def on_line(self, rule_id: str, subject: str, line: int) -> Finding:
        """A finding on the 1-based ``line``."""
        start = self._line_starts[min(max(line, 1), len(self._line_starts)) - 1]
        end = self.text.find("\n", start)
        return self.at(rule_id, subject, start, len(self.text) if end < 0 else end)

    def of(self, rule_id: str, subject: str, needle: str) -> Finding:
        """A finding where ``needle`` stands first, or at the top."""
        start = max(self.text.find(needle), 0) if needle else 0
        return self.at(rule_id, subject, start, start + len(needle))

    def command_context(self, offset: int) -> str:
        """Whether a command at ``offset`` is to be run (``use``) or talked about (``mention``)."""
        if self.is_document:
            return command_context(self._layer, offset, self.is_cautionary(offset))
        return code_context(self._layer.before(offset), False) if self.kind in _CODE else "use"

    def prose_context(self, start: int, end: int) -> str:
        """Whether the words ``start:end`` of a document ask (``use``) or are talked about (``mention``)."""
        return prose_context(self.text, start, end, self.is_cautionary(start), quotes=PLAIN_QUOTES)

    def matches(self, pattern: WordedPattern) -> Iterator[Any]:
        """The matches of ``pattern`` in the text, in order."""
        return pattern.finditer(self.text, self._words)

    @cached_property
    def _words(self) -> bytes:
        return words_of(self.text)

    @cached_property
    def install_commands(self) -> list[InstallCommand]:
        """The install commands of the text, in order."""
        return list(install_commands(self.text))

    @cached_property
    def fences(self) -> list[Segment]:
        """The code fences of a document, in order."""
        return [segment for segment in self._segments if segment.part is Part.FENCE]

    def is_cautionary(self, offset: int) -> bool:
        """Whether headings or the lead-in say that what stands at ``offset`` of a document is shown as a danger."""
        at = bisect_right(self._segment_starts, offset) - 1
        return any(
            segment.cautionary
            for segment in self._segments[max(0, at - 2) : at + 1]
            if segment.start <= offset < segment.end
        )

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        position = self.text.find("\n")
        while position >= 0:
            starts.append(position + 1)
            position = self.text.find("\n", position + 1)
        return starts

    @cached_property
    def _segments(self) -> list[Segment]:
        segments = split_markdown(self.text, named_by_title=self.path.endswith("SKILL.md"))
        return sorted(segments, key=lambda segment: (segment.start, segment.end))

    @cached_property
    def _segment_starts(self) -> list[int]:
        return [segment.start for segment in self._segments]
