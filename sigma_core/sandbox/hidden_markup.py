"""Words that HTML hides from the eye, in pages and in Markdown: display none, size zero, white on white, off the page, hidden attributes."""

from __future__ import annotations

import html
from collections.abc import Iterator

import re2

from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.pattern_reading import injects
from sigma_core.sandbox.scan import LayerScan

_ELEMENT = re2.compile(r"<([A-Za-z][A-Za-z0-9]{0,15})(\s[^<>`]*)>")
_HIDING = re2.compile(
    r"(?i)\bstyle\s*=\s*[\"'][^\"']*?(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0*(?:\.0+)?(?:px|pt|em|rem|%)?\s*[;\"']|font-size\s*:\s*1px|opacity\s*:\s*0(?:\.0+)?\s*[;\"']|"
    r"(?:^|[^-a-z])color\s*:\s*(?:white|transparent|#fff(?:fff)?\b|rgba\([^)]*,\s*0\s*\))|(?:left|top|text-indent)\s*:\s*-\d\d\d+|(?:max-)?(?:height|width)\s*:\s*0(?:px)?\s*[;\"'])|\shidden(?:[\s=]|$)|\saria-hidden\s*=\s*[\"']?true"
)
"""Attributes of an element that a reader of the page does not see."""
_UNSHOWN = re2.compile(r"(?i)<(metadata|desc)\b[^<>]{0,300}>")
"""Elements whose words no viewer shows."""
_TAG = re2.compile(r"<[^<>]*>")
_MAX_HIDDEN = 16_384
_MAX_SPANS = 200


def hidden_spans(text: str, *, page: bool = False) -> Iterator[tuple[int, int]]:
    """What stands in elements that their own markup hides; in a ``page``, also in those that are never shown."""
    done = 0
    unshown = _UNSHOWN.finditer(text) if page else ()
    styled = (match for match in _ELEMENT.finditer(text) if _HIDING.search(match.group(2)))
    hiding = sorted([*styled, *unshown], key=lambda match: match.start())
    for number, match in enumerate(hiding):
        if number >= _MAX_SPANS:
            return
        if match.start() < done:
            continue
        close = text.find(f"</{match.group(1)}", match.end(), match.end() + _MAX_HIDDEN)
        done = close if close >= 0 else min(len(text), match.end() + _MAX_HIDDEN)
        if text[match.end() : done].strip():
            yield match.end(), done


def read_hidden_markup(at: LayerScan) -> None:
    """Words that markup hides and that order the agent about are read as a hidden layer. Hiding alone is what pages do all day."""
    if "<" not in at.layer.text:
        return
    for start, end in hidden_spans(at.layer.text, page=at.layer.kind is FileKind.HTML):
        words = html.unescape(_TAG.sub(" ", at.layer.text[start:end]))
        if injects(at, words):
            at.report("SIGMA-DOC-003", words.strip()[:80], start, end)
            at.descend("hidden-style", words, FileKind.TEXT, start, end)
