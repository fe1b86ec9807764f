"""Prose as sentences: of a Markdown text with its comments and short listings, of the strings of a data file, of the comments of code that speak to an agent."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import re2

from sigma_core.sandbox.kinds import guess_text_kind, kind_of_language
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.markdown import Part, Segment

_MOST_LINES = 2_000
_LONGEST_LINE = 900
_QUOTED_SENTENCES = 400
"""Characters up to which a quotation holds its sentences together."""
_LISTING = 240
"""A fence of plain text up to this many characters is part of the instruction before it."""
_SPACED = str.maketrans("\n\r\t", "   ")
_ITEM = re2.compile(r"\n[ \t>]*(?:[-*+]\s|\d+[.)]\s|\||$)")
_FIELD = re2.compile(r"\n[A-Za-z][\w-]*[ \t]*:(?:[ \t]|\n|$)")
"""Where a field of a front matter begins: each is a text of its own."""
_BREAK = re2.compile(r"[.!?;](?:[\"')\]*_`]{0,3})(?:[ \t]+|$)|[。！？；]|\n")
_AGENT = (
    r"[ \t]{0,3}(?:next |note to |note for |for )?\(?(?:the |any |this )?(?:AI |coding |LLM |language )?(?:agents?|assistants?|claude|copilot|gemini|gpt|LLMs?|AI|助手|智能体|エージェント)"
    r"(?: only| reading this| running this| using this)?\)?[ \t]{0,2}"
)
_WORDS = r"(?:\pL\S*[ \t]+\S|[^\x00-\x7f]{4})"
"""After the agent's name: more than the one word that a setting has."""
_ADDRESSED = re2.compile(
    rf"(?i)(?:#|//|/\*|\*|--|;|[(（]){_AGENT}(?:[:：][ \t]+{_WORDS}|,[ \t]+please\b|must\b|should\b|please\b|请)"
    rf"|[\"'`]{_AGENT}(?:[:：][ \t]+{_WORDS}|,[ \t]+please\b|请)"
)
"""A comment or a string of code that begins by addressing an agent."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of prose: its place in the layer, its words on one line, whether what surrounds it warns of it, whether a reader of the page never
    sees it, and whether it stands ``apart`` from what is before it, as a heading or a table's cell does."""

    start: int
    end: int
    text: str
    cautionary: bool
    unseen: bool = False
    apart: bool = False


def addressed_lines(code: str, offset: int) -> list[Sentence]:
    """The lines of a listing that speak to an agent, as unseen sentences: code is read by machines, its comments by programmers."""
    lines: dict[int, Sentence] = {}
    for match in _ADDRESSED.finditer(code):
        start = code.rfind("\n", 0, match.end()) + 1
        end = code.find("\n", match.end())
        end = len(code) if end < 0 else end
        if len(lines) < _MOST_LINES and end - start < _LONGEST_LINE:
            lines[start] = Sentence(offset + start, offset + end, code[start:end], False, unseen=True)
    return list(lines.values())


def data_prose(text: str) -> list[Sentence]:
    """The sentences of a data file: each string of it is a text of its own."""
    return list(sentences_of(text.replace('",', '"\n').replace('":', '"\n'), 0, False, wrapped=False))


def prose_of(segments: Iterable[Segment], text: str) -> list[Sentence]:
    """The sentences of a Markdown text in order: its prose, tables, headings, comments, and the short listings that an instruction points to."""
    sentences: list[Sentence] = []
    for segment in segments:
        if segment.part in {Part.PROSE, Part.TABLE, Part.HEADING, Part.COMMENT, Part.FRONT_MATTER}:
            unseen = segment.part is Part.COMMENT
            cautionary = segment.cautionary and not unseen
            words = text[segment.start : segment.end]
            table = segment.part is Part.TABLE
            if segment.part is Part.FRONT_MATTER:
                for start, field in _fields(words):
                    sentences += sentences_of(field, segment.start + start, cautionary)
                continue
            # The cells of a table are texts of their own.
            words = words.replace("|", "\n") if table else words
            apart = table or segment.part is Part.HEADING
            sentences += sentences_of(words, segment.start, cautionary, wrapped=not table, unseen=unseen, apart=apart)
        elif segment.part is Part.FENCE and len(segment.text) <= _LISTING:
            words = " ".join(segment.text.split())
            if words and kind_of_language(segment.language) is None and guess_text_kind(words) is FileKind.TEXT:
                sentences.append(Sentence(segment.start, segment.end, words, segment.cautionary))
    return sentences


def _fields(front_matter: str) -> Iterator[tuple[int, str]]:
    """Each field of a front matter with where it begins."""
    starts = [0, *(match.start() + 1 for match in _FIELD.finditer(front_matter))]
    for start, end in itertools.pairwise([*starts, len(front_matter)]):
        yield start, front_matter[start:end]


def sentences_of(
    text: str, offset: int, cautionary: bool, *, wrapped: bool = True, unseen: bool = False, apart: bool = False
) -> Iterator[Sentence]:
    """The sentences of a stretch of prose at ``offset`` of its layer; list items end sentences, ``wrapped`` lines do not."""
    flat = one_line_each(text) if wrapped else text
    start = 0
    for end in [*_ends(flat), len(flat)]:
        if flat[start:end].strip():
            yield Sentence(offset + start, offset + end, flat[start:end].rstrip("\n"), cautionary, unseen, apart)
        start = max(start, end)


def _ends(flat: str) -> Iterator[int]:
    """Where sentences end. A quotation holds its sentences together, and a small letter goes on with the one before."""
    start = 0
    for match in _BREAK.finditer(flat):
        end = match.end()
        goes_on = flat.count('"', start, end) % 2 or (match.group()[0] in ".!?" and flat[end : end + 1].islower())
        if goes_on and flat[end - 1] != "\n" and end - start < _QUOTED_SENTENCES:
            continue
        yield end
        start = end


def one_line_each(text: str) -> str:
    """``text`` with the wrapped lines of each paragraph, list item and table row joined by blanks; of the same length."""
    joined = list(text.translate(_SPACED))
    for match in _ITEM.finditer(text):
        joined[match.start()] = "\n"
    return "".join(joined)
