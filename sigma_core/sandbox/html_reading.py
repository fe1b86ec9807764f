"""HTML, SVG and XML: visible words as prose, comments, scripts, event handlers, addresses; and words that markup hides, here and in Markdown."""

from __future__ import annotations

import html
from dataclasses import replace

import re2

from sigma_core.sandbox.code_reading import read_script
from sigma_core.sandbox.document_reading import read_document
from sigma_core.sandbox.hidden_markup import read_hidden_markup
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.pattern_reading import read_patterns, read_prose
from sigma_core.sandbox.scan import LayerScan

_SCRIPT_TAG = linear_pattern(r"(?is)<script\b[^>]{0,300}>(.*?)</script>")
_NOT_WORDS = linear_pattern(r"(?is)<(?:script|style)\b[^>]{0,300}>.*?</(?:script|style)>|<!--.*?-->")
_COMMENT = re2.compile(r"(?s)<!--(.*?)-->")
_HANDLER = re2.compile(
    r"(?i)\son[a-z]{3,20}\s*=\s*(?:\"([^\"]{4,})\"|'([^']{4,})')|\b(?:href|src|action)\s*=\s*(?:\"\s*javascript:([^\"]{4,})\"|'\s*javascript:([^']{4,})')"
)
_REFRESH = linear_pattern(r"(?i)<meta\b[^<>]{0,200}http-equiv\s*=\s*[\"']?refresh[^<>]{0,400}>")
_MAX_TAG = 4_000
_MAX_SCRIPTS = 64


def read_html(at: LayerScan) -> None:
    """Read words and comments as prose, scripts as JavaScript, and the rest for addresses."""
    text = at.layer.text
    for match in _COMMENT.finditer(text):
        read_prose(at, match.start(), match.group(), "comment", False, directed=True)
    for match in _SCRIPT_TAG.finditer(text):
        if match.group(1).strip():
            read_script(at, FileKind.JAVASCRIPT, match.group(1), match.start(1), "use")
    for number, match in enumerate(_HANDLER.finditer(text)):
        group = next(group for group in (1, 2, 3, 4) if match.group(group) is not None)
        if number < _MAX_SCRIPTS:
            read_script(at, FileKind.JAVASCRIPT, html.unescape(match.group(group)), match.start(group), "use")
    for match in _REFRESH.finditer(text):
        at.report("SIGMA-DOC-004", match.group()[:120], *match.span())
    read_patterns(at, "link", 0, text, False)
    words = visible_words(text)
    if words.strip():
        read_document(LayerScan(at.scan, replace(at.layer, text=words, kind=FileKind.TEXT)))
    read_hidden_markup(at)


def visible_words(text: str) -> str:
    """``text`` with tags, scripts, styles and comments as blanks, so that places stay."""
    out, last = [], 0
    for match in _NOT_WORDS.finditer(text):
        out += [text[last : match.start()], _blank(match.group())]
        last = match.end()
    first, *others = "".join([*out, text[last:]]).split("<")
    pieces = [first]
    for other in others:
        tag, close, rest = other.partition(">")
        pieces.append(_blank(f"<{tag}>") + rest if close and len(tag) <= _MAX_TAG else f"<{other}")
    return "".join(pieces)


def _blank(markup: str) -> str:
    return " " * (len(markup) - 1) + ("\n" if "\n" in markup else " ")
