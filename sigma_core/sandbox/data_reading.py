"""Configuration and data: JSON, YAML, TOML and whatever has no reader of its own."""

from __future__ import annotations

import re2

from sigma_core.sandbox.encodings import unescape
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.pattern_reading import injects, read_patterns, read_prose
from sigma_core.sandbox.scan import LayerScan
from sigma_core.sandbox.sentences import addressed_lines, data_prose

_VALUE = r'"((?:[^"\\\n]|\\.){%d,})"'
_ESCAPED_VALUE = re2.compile(_VALUE % 12)
_ADDRESSED_VALUE = re2.compile(
    r'(?i)"(?:description|instructions?|prompt|system\w*|content|text|notes?|title|message|guidance|rules?|about|help|summary|hint|usage)"\s*:\s*'
    + _VALUE % 40
)
"""A value under a key that speaks to whoever reads it: tool descriptions, prompts."""
_MAX_VALUES = 65_536
_NEEDLESS = re2.compile(r"\\u00[2-7][0-9a-fA-F]|\\x[2-7][0-9a-fA-F]")
"""Escapes of printable ASCII, which nobody has to write so."""
_ORDINARY = {"\\n": "\n", "\\r": " ", "\\t": " ", '\\"': '"', "\\/": "/", "\\\\": "\\"}


def read_data(at: LayerScan) -> None:
    """Read the layer as configuration, for commands, and as prose; values with escapes also as what they stand for."""
    text = at.layer.text
    read_patterns(at, "config", 0, text, False)
    read_patterns(at, "command", 0, text, False)
    read_prose(at, 0, text, "prose", False)
    at.ask(data_prose(text) + addressed_lines(text, 0))
    if at.layer.kind in {FileKind.JSON, FileKind.YAML, FileKind.TOML}:
        read_addressed_values(at, text, 0)
        if "\\" in text:
            _escaped_values(at)


def read_addressed_values(at: LayerScan, text: str, offset: int) -> None:
    """Read the values of JSON that are prose (descriptions, prompts) as one text, with their escapes written out."""
    spans = [match.span(1) for match in _ADDRESSED_VALUE.finditer(text)]
    values = [_written_out(text[start:end]) for start, end in spans if " " in text[start:end]]
    if values:
        joined = "\n\n".join(values)[:_MAX_VALUES]
        at.descend("values", joined, FileKind.TEXT, offset + spans[0][0], offset + spans[-1][1], hidden=False)


def _written_out(value: str) -> str:
    if "\\" not in value:
        return value
    plain = unescape(value)
    for written, meant in _ORDINARY.items():
        plain = plain.replace(written, meant)
    return plain


def _escaped_values(at: LayerScan) -> None:
    at.scan.meter.spend(len(at.layer.text))
    for match in _ESCAPED_VALUE.finditer(at.layer.text):
        value = match.group(1)
        if "\\" not in value:
            continue
        plain = _written_out(value)
        if injects(at, plain):
            hidden = bool(_NEEDLESS.search(value))
            at.descend("string", plain, FileKind.TEXT, *match.span(1), hidden=hidden)
