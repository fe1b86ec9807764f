"""Markdown into the parts that mean different things: front matter, headings, prose, code fences, inline code, comments, links, images, tables.

A line scanner after the block rules of CommonMark 0.31 (sections 4.2, 4.5, 4.6) and the table rule of GFM; one pass, linear in the text. Inline structure is read only as far as the sandbox
needs it, so nothing here can be driven into the super-linear cases of full inline parsing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import re2


class Part(StrEnum):
    """What a stretch of Markdown is."""

    FRONT_MATTER = "front_matter"
    HEADING = "heading"
    PROSE = "prose"
    TABLE = "table"
    FENCE = "fence"
    INLINE_CODE = "inline_code"
    COMMENT = "comment"
    LINK = "link"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Segment:
    """One part: character range in the text, the words as they stand there, and what surrounds it.

    ``language`` is a fence's info string; ``target`` a link's or image's address; ``cautionary`` whether headings or the lead-in say that what
    follows is shown as a danger, not as something to do; ``disposed`` whether the words after inline code say that it is refused.
    """

    part: Part
    start: int
    end: int
    text: str
    language: str = ""
    target: str = ""
    heading: str = ""
    cautionary: bool = False
    disposed: bool = False


_FENCE = re2.compile(r"^[ >*+0-9.)-]{0,40}?(`{3,}|~{3,})[ \t]*([^`\n]*)$")
_HEADING = re2.compile(r"^ {0,3}(#{1,6})[ \t]+(.*)$")
_LINK = re2.compile(r"(!?)\[([^\]\n]{0,300})\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"\n]*\")?\s*\)")
_REFERENCE = re2.compile(r"(?m)^ {0,3}\[([^\]\n]{1,200})\]:\s*(\S+)")
_LEAST_CODE, _MOST_CODE = 2, 800
"""Characters between two backticks that are code in a line of prose."""
_LIST_ITEM = re2.compile(r"^[ \t>]*(?:[-*+]|\d+[.)])\s")
_SENTENCE_HEAD = re2.compile(r"\n[ \t>]*(?:[-*+]|\d+[.)])\s|\n[ \t>]*\||\n[ \t]*\n")
"""Where a list item, a table's row or a paragraph begins: what stands before it says nothing of what follows."""
_TABLE_ROW = re2.compile(r"^\s*\|.*\|\s*$")

CAUTION = re2.compile(
    r"(?i)\b(?:(?:do not|don'?t|never|avoid|not to) (?:\w+ ){0,2}(?:run|use|execute|paste|do|follow|install|copy|trust|set|call|pass|type|commit|enable|disable|running|using|executing|obey|act)|what not to do|bad|wrong|unsafe|insecure|dangerous|malicious|harmful|suspicious|"
    r"vulnerab\w*|attacks?|attackers?|anti-?patterns?|red[ -]flags?|warning signs?|threats?|exploits?|jailbreaks?|injections?|detect(?:s|ed|ion|ions|ing)?|blocked|blocklist|denylist|flag(?:s|ged)|forbidden|prohibited|not allowed|"
    r"reject(?:s|ed)?|refus(?:e|es|ed)|phishing|scams?|iocs?|indicators? of compromise|poisoning|exfiltration|obfuscat\w*|smuggl\w*|hostile|untrusted|adversar\w*|evil|counter-?examples?|known risks?)\b|❌|🚫|⛔|🚨|🔴|⚠"
)
"""Words that announce that what follows is talked about, not asked for."""


_DISPOSED = re2.compile(
    r"(?i)^[\s*_)\"”]{0,3}(?:[:=→–—]|->|\b(?:is|are|gets|(?:must|should|will) (?:now |then |always )?be)\b)[\s*_`\"']{0,3}(?:(?:now|then|always|also|\w+ly) ){0,2}"
    r"(?:blocked|denied|refused|rejected|forbidden|prohibited|disallowed|not allowed|intercepted|stopped|flagged)\b"
)
_REST_OF_CODE = 60


def disposed(after: str, *, within: bool = False) -> bool:
    """Whether the words right after inline code say what becomes of it: it is refused, not asked for. ``within``: its closing mark is still to come."""
    if within:
        after = after[:_REST_OF_CODE].partition("`")[2]
    return _DISPOSED.search(after[:_REST_OF_CODE]) is not None


_SIGNS = str.maketrans("", "", "⚠🚨🔴⛔")
_DEMAND = re2.compile(
    r"(?i)\b(?:requir\w+|prerequisites?|mandatory|must|needed|important|first|set-?up|install\w*|before)\b|必|требуется|requerid"
)
"""Words with which a sign of danger asks for attention, not for caution."""


def _cautionary(text: str) -> bool:
    if CAUTION.search(text) is None:
        return False
    return _DEMAND.search(text) is None or CAUTION.search(text.translate(_SIGNS)) is not None


@dataclass
class _State:
    headings: list[str]
    named_by_title: bool
    lead_in: str = ""

    def context(self) -> tuple[str, bool]:
        # The first title names the package; an author could call anything a detector. Only the sections below it give context.
        return " > ".join(self.headings), _cautionary(" > ".join(self.headings[1 if self.named_by_title else 0 :]))


def split_markdown(text: str, *, named_by_title: bool = True) -> list[Segment]:
    """The segments of ``text`` in order. Links and inline code are given besides the prose that holds them.

    ``named_by_title``: the first title is the package's name (SKILL.md) and gives no context; in other documents it does.
    """
    segments: list[Segment] = []
    state = _State([], named_by_title)
    lines: list[tuple[int, str]] = []
    position = 0
    for line in text.split("\n"):
        lines.append((position, line.rstrip("\r")))
        position += len(line) + 1
    index = _front_matter(text, lines, segments)
    paragraph_start: int | None = None

    def flush(end: int) -> None:
        nonlocal paragraph_start
        if paragraph_start is None:
            return
        body = text[paragraph_start:end]
        if body.strip():
            first = body.lstrip().split("\n", 1)[0]
            part = Part.TABLE if _TABLE_ROW.search(first) else Part.PROSE
            titles, cautionary = state.context()
            if _LIST_ITEM.search(body) and state.lead_in.endswith((":", "：")):
                cautionary = cautionary or _cautionary(state.lead_in.rsplit("\n", 1)[-1])
            segments.append(Segment(part, paragraph_start, end, body, heading=titles, cautionary=cautionary))
            state.lead_in = body.rstrip()[-400:]
        paragraph_start = None

    while index < len(lines):
        start, line = lines[index]
        fence = _FENCE.search(line) if "```" in line or "~~~" in line else None
        comment = line.find("<!--")
        if fence:
            flush(start)
            index = _fence(text, lines, index, fence.group(1), fence.group(2), state, segments)
        elif comment >= 0 and "`<!--" not in line:
            if paragraph_start is None:
                paragraph_start = start
            flush(start + comment)
            index = _comment(text, lines, index, start + comment, state, segments)
        elif (title := _HEADING.search(line)) is not None:
            flush(start)
            level = len(title.group(1))
            del state.headings[level - 1 :]
            state.headings += [""] * (level - 1 - len(state.headings)) + [title.group(2).strip()]
            titles, cautionary = state.context()
            segments.append(
                Segment(Part.HEADING, start, start + len(line), line, heading=titles, cautionary=cautionary)
            )
            state.lead_in = ""
            index += 1
        elif not line.strip():
            flush(start)
            index += 1
        else:
            if paragraph_start is None:
                paragraph_start = start
            index += 1
    flush(len(text))
    _inline(segments)
    return segments


def _front_matter(text: str, lines: list[tuple[int, str]], segments: list[Segment]) -> int:
    first = next((at for at, (_, line) in enumerate(lines) if line.strip("\ufeff \t")), 0)
    if not lines or lines[first][1].strip("\ufeff \t") != "---":
        return 0
    for index in range(first + 1, min(len(lines), 2_000)):
        if lines[index][1].rstrip() in {"---", "..."}:
            start = lines[first + 1][0]
            segments.append(Segment(Part.FRONT_MATTER, start, lines[index][0], text[start : lines[index][0]]))
            return index + 1
    return 0


def _fence(
    text: str, lines: list[tuple[int, str]], index: int, marker: str, info: str, state: _State, segments: list[Segment]
) -> int:
    body_start = lines[index + 1][0] if index + 1 < len(lines) else len(text)
    end = index + 1
    while end < len(lines):
        candidate = lines[end][1].strip(" \t>")
        if candidate.startswith(marker) and not candidate.strip(marker[0]):
            break
        end += 1
    body_end = lines[end][0] if end < len(lines) else len(text)
    titles, cautionary = state.context()
    lead = state.lead_in.rsplit("\n\n", 1)[-1]
    lead = lead.rstrip().rsplit("\n", 1)[-1][-160:]
    segments.append(
        Segment(
            Part.FENCE,
            body_start,
            body_end,
            text[body_start:body_end],
            language=info.strip(),
            heading=titles,
            cautionary=cautionary or _cautionary(lead),
        )
    )
    return end + 1


def _comment(
    text: str, lines: list[tuple[int, str]], index: int, start: int, state: _State, segments: list[Segment]
) -> int:
    close = text.find("-->", start + 4)
    end = len(text) if close < 0 else close + 3
    titles, cautionary = state.context()
    segments.append(Segment(Part.COMMENT, start, end, text[start:end], heading=titles))
    index += 1
    while index < len(lines) and lines[index][0] < end:
        index += 1
    tail = text[end : lines[index][0] if index < len(lines) else len(text)]
    if tail.strip():
        segments.append(Segment(Part.PROSE, end, end + len(tail), tail, heading=titles, cautionary=cautionary))
    return index


def _inline(segments: list[Segment]) -> None:
    found: list[Segment] = []
    for segment in segments:
        if segment.part not in {Part.PROSE, Part.TABLE, Part.HEADING}:
            continue
        for match in _LINK.finditer(segment.text):
            part = Part.IMAGE if match.group(1) else Part.LINK
            found.append(
                Segment(
                    part,
                    segment.start + match.start(),
                    segment.start + match.end(),
                    match.group(2),
                    target=match.group(3),
                    heading=segment.heading,
                    cautionary=segment.cautionary,
                )
            )
        for match in _REFERENCE.finditer(segment.text):
            found.append(
                Segment(
                    Part.LINK,
                    segment.start + match.start(),
                    segment.start + match.end(),
                    match.group(1),
                    target=match.group(2),
                    heading=segment.heading,
                )
            )
        for start, end in _inline_code(segment.text):
            before = _SENTENCE_HEAD.split(segment.text[max(0, start - 161) : start - 1])[-1]
            found.append(
                Segment(
                    Part.INLINE_CODE,
                    segment.start + start,
                    segment.start + end,
                    segment.text[start:end],
                    heading=segment.heading,
                    cautionary=segment.cautionary or _cautionary(before),
                    disposed=disposed(segment.text[end + 1 : end + 1 + _REST_OF_CODE]),
                )
            )
    segments += found
    segments.sort(key=lambda segment: (segment.start, -segment.end, segment.part))


def _inline_code(text: str) -> Iterator[tuple[int, int]]:
    """Where code stands between two backticks of a line or paragraph: from after the first to the second."""
    opened = text.find("`")
    while opened >= 0 and (closed := text.find("`", opened + 1)) >= 0:
        is_code = _LEAST_CODE <= closed - opened - 1 <= _MOST_CODE
        if is_code:
            yield opened + 1, closed
        opened = text.find("`", closed + 1) if is_code else closed
