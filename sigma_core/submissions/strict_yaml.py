"""YAML that somebody else wrote, read as plain data: mappings, lists, text, integers, true, false, null.

Works on parser events, so that nothing is constructed and the limits hold while parsing. What YAML readers disagree on
is refused (duplicate keys, anchors, tags, directives, keys that are not text) or stays text (dates, floats, ``yes``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from sigma_core.canonical import MAX_SAFE_INTEGER
from sigma_core.errors import SigmaError
from sigma_core.submissions.refusal import Refusal

_LINE_BREAKS = "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""Line breaks to some readers and characters to others. CRLF must be normalised before."""

_CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}


class YamlSyntax(SigmaError):
    """Text that no YAML reader accepts; ``line`` is 1-based in the file."""

    code = "YAML_SYNTAX"

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


@dataclass(frozen=True, slots=True)
class YamlLimits:
    """Most bytes, deepest nesting and most values (keys not counted) of one document."""

    max_bytes: int
    max_depth: int
    max_nodes: int


@dataclass(frozen=True, slots=True)
class YamlValue:
    """One value.

    ``line`` is where it begins, or where its key does; ``text`` is what a scalar says to the letter, None for null,
    lists and mappings. Keys are ASCII: other characters are backslash-escaped.
    """

    content: bool | int | str | list[YamlValue] | dict[str, YamlValue] | None
    line: int
    text: str | None = None

    def plain(self) -> Any:
        """The value as JSON data."""
        if isinstance(self.content, dict):
            return {key: value.plain() for key, value in self.content.items()}
        if isinstance(self.content, list):
            return [value.plain() for value in self.content]
        return self.content


def parse_yaml(text: str, file: str, first_line: int, limits: YamlLimits) -> YamlValue:
    """The one document in ``text``, whose first line is line ``first_line`` of ``file``.

    Raises Refusal (``LIMIT_MANIFEST_…``, ``HOSTILE_MANIFEST_…``) and YamlSyntax.
    """
    size = len(text.encode())
    if size > limits.max_bytes:
        raise Refusal("LIMIT_MANIFEST_BYTES", file, limit=limits.max_bytes, found=size, line=first_line)
    for number, line in enumerate(text.split("\n"), first_line):
        for character in _LINE_BREAKS:
            if character in line:
                raise Refusal("HOSTILE_MANIFEST_CHARACTER", file, found=f"U+{ord(character):04X}", line=number)
    return _Composer(file, first_line, limits).compose(text)


class _Composer:
    def __init__(self, file: str, first_line: int, limits: YamlLimits) -> None:
        self.file = file
        self.first_line = first_line
        self.limits = limits
        self.nodes = 0

    def compose(self, text: str) -> YamlValue:
        events = self._events(text)
        value = YamlValue(None, self.first_line)
        seen = False
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    raise YamlSyntax(self._line(event), "a second document begins here")
                if event.version or event.tags:
                    raise Refusal("HOSTILE_MANIFEST_TAG", self.file, line=self._line(event), found="a directive")
                seen = True
                value = self._value(next(events), events, 1)
        return value

    def _events(self, text: str) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(text, Loader=yaml.CSafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            below = 0 if mark is None else int(mark.line)
            raise YamlSyntax(self.first_line + below, error.problem or "not YAML") from None
        except yaml.YAMLError as error:
            raise YamlSyntax(self.first_line, str(error).partition("\n")[0]) from None

    def _line(self, event: yaml.Event) -> int:
        assert event.start_mark is not None
        return self.first_line + int(event.start_mark.line)

    def _refuse_references(self, event: yaml.Event, line: int) -> None:
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:  # an alias carries the anchor's name
            raise Refusal("HOSTILE_MANIFEST_ALIAS", self.file, line=line, found=event.anchor)
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            raise Refusal("HOSTILE_MANIFEST_TAG", self.file, line=line, found=event.tag)

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> YamlValue:
        line = self._line(event)
        self.nodes += 1
        if self.nodes > self.limits.max_nodes:
            raise Refusal("LIMIT_MANIFEST_NODES", self.file, limit=self.limits.max_nodes, line=line)
        self._refuse_references(event, line)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event.value, plain=not event.style, line=line)
        if depth > self.limits.max_depth:
            raise Refusal("LIMIT_MANIFEST_DEPTH", self.file, limit=self.limits.max_depth, line=line)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                items.append(self._value(event, events, depth + 1))
            return YamlValue(items, line)
        mapping: dict[str, YamlValue] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key, key_line = self._key(event)
            if key in mapping:
                raise Refusal(
                    "HOSTILE_MANIFEST_DUPLICATE_KEY", self.file, line=key_line, found=f"key {key!r} appears twice"
                )
            value = self._value(next(events), events, depth + 1)
            mapping[key] = YamlValue(value.content, key_line, value.text)
        return YamlValue(mapping, line)

    def _key(self, event: yaml.Event) -> tuple[str, int]:
        line = self._line(event)
        self._refuse_references(event, line)
        if not isinstance(event, yaml.ScalarEvent):
            raise Refusal("BROKEN_MANIFEST", self.file, line=line, found="a key that is a list or a mapping")
        plain = not event.style
        if plain and event.value == "<<":
            raise Refusal("HOSTILE_MANIFEST_ALIAS", self.file, line=line, found="<<")
        if not isinstance(_scalar(event.value, plain=plain, line=line).content, str):
            raise Refusal("BROKEN_MANIFEST", self.file, line=line, found=f"key {event.value!r} is not text")
        return event.value.encode("ascii", "backslashreplace").decode(), line


def _scalar(text: str, *, plain: bool, line: int) -> YamlValue:
    """A scalar by the few rules that all YAML versions share; everything else stays text."""
    if plain:
        lowered = text.lower()
        if lowered in _CONSTANTS and text in {lowered, lowered.capitalize(), lowered.upper()}:
            constant = _CONSTANTS[lowered]
            return YamlValue(constant, line, None if constant is None else text)
        digits = text.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) <= 16 and (digits == "0" or digits[0] != "0"):
            number = int(text)
            if -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER:
                return YamlValue(number, line, text)
    return YamlValue(text, line, text)
