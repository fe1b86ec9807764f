"""Use or mention: whether the place of a match says a thing or speaks about it.

Honest reference documents name what malice is made of: they list threats, show what not to do, tell how a search finds
it. So a match is weighed by the words before it, the headings above it, and the kind of line that it stands in.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import re2

_CONTEXT_BYTES = 1_500
_ORDER_CONTEXT_BYTES = 200

_MENTION = re2.compile(
    r"(?i)(?:❌|🚫|🚩|⛔|"
    r"\b(?:malicious|suspicious|dangerous|threats?|attacks?|attackers?|attempts?|detect(?:s|ed|ion|ing)?"
    r"|flag(?:s|ged)?|block(?:s|ed)?|patterns?|red flags?|"
    r"injection|vulnerab\w+|unsafe|harmful|exploits?|anti-?patterns?|e\.g\.|such as|examples? of|for example"
    r"|look(?:s|ing)? for|checks? for|scan(?:s|ning)? for|"
    r"watch for|what it checks|beware|warning signs?|reject|refuse|untrusted|instead of|rather than"
    r"|(?:no|not a|not an) (?:reason|excuse) to)\b)"
)
"""Words that say of a passage that it is spoken about: a list of threats, an example of what not to do."""

_THREAT_HEADING = re2.compile(
    r"(?i)\b(?:malicious|suspicious|dangerous|threats?|attacks?|attackers?|adversar\w+|red flags?|injection"
    r"|vulnerab\w+|unsafe|exploits?|exploitation|anti-?patterns?|forensics?|malware|indicators of compromise)\b"
)
"""Headings of sections that are about threats."""

_PROHIBITION = re2.compile(r"(?i)\b(?:never|do not|don't|avoid|must not|should not|cannot|won't)\b[^.!?;]*$")
"""A prohibition that is still open where the match begins."""

_DISCOURAGED = re2.compile(
    r"(?i)\b(?:do not|don't|never)\s+(?:run|use|paste|execute|copy|do)\s+(?:it|this|that|them|these)\b"
)
"""Advice against the thing that the line has just named."""

_QUOTED_BEFORE = re2.compile(r"[\"'“‘«]\s*$")
_SEARCHED_FOR = re2.compile(r"""(?i)\b(?:grep|egrep|rg|re\.\w+|regexp?|pattern)\b.*["'/]""")
_LIST_ITEM = re2.compile(r"^\s*(?:[-*+]\s|[|>]|[0-9]+[.)])")
_STRING_ITEM = re2.compile(r"""^\s*[rRbuf]?(?:"[^"]*"|'[^']*'),?\s*$""")
_INJECTED = re2.compile(r"""(?:^|[=(:,\[])\s*["'][^"']*;\s*$""")
_COMMENTED = re2.compile(r"""^\s*(?:/?\*|//|#)|^[^"'`]*\s(?://|#)\s""")
_FENCE = re2.compile(rb"^\s*(?:```|~~~)")
_HEADING = re2.compile(rb"^(#{1,6})\s+(.*)$")

_ORDER_BEFORE = re2.compile(
    r"(?i)(?:^|[.!?:;,)\]>—–|]|(?:^|\n)\s*(?:[-*+]|[0-9]+[.)]|[#>]+)"
    r"|\b(?:you|you'll|agent|assistant|claude|model|must|should|shall|then|and|please|always|first|next|finally|also|to))"
    r"[\s*_`\"'(]*$"
)
"""What stands before an order to the reader: the beginning of a sentence, a clause or an item, or the one addressed."""


@dataclass(frozen=True, slots=True)
class Outline:
    """The headings of a Markdown file that stand outside its fences: byte offsets and whether the place below them is
    about threats."""

    starts: tuple[int, ...]
    about_threats: tuple[bool, ...]

    @classmethod
    def of(cls, content: bytes, *, titled: bool) -> Outline:
        """Read in one pass: a section is about threats when its heading or one that it stands under says so. The title
        of the whole file (level 1) counts where it is ``titled`` for its subject, as reference documents are; a skill's
        own title is a name."""
        starts, about, open_headings = [], [], list[tuple[int, bool]]()
        fenced, offset = False, 0
        for line in content.split(b"\n"):
            if _FENCE.search(line):
                fenced = not fenced
            elif not fenced and (heading := _HEADING.search(line)):
                level = len(heading.group(1))
                open_headings = [each for each in open_headings if each[0] < level]
                text = heading.group(2)[:_CONTEXT_BYTES].decode("utf-8", "ignore")
                open_headings.append((level, (titled or level > 1) and bool(_THREAT_HEADING.search(text))))
                starts.append(offset)
                about.append(any(threat for _, threat in open_headings))
            offset += len(line) + 1
        return cls(tuple(starts), tuple(about))

    def is_about_threats(self, place: int) -> bool:
        """Whether the byte ``place`` stands in a section on threats."""
        above = bisect_right(self.starts, place) - 1
        return above >= 0 and self.about_threats[above]


def is_spoken_about(content: bytes, start: int) -> bool:
    """Whether prose or data speaks about the match at ``start`` instead of saying it: after a quotation mark, a
    prohibition that is still open, or words such as "detects" in its line, in the two lines of text above or in the
    line that introduces its list or anywhere in its row of a table, or where its line goes on to advise against it."""
    head = content[max(0, start - _CONTEXT_BYTES) : start].decode("utf-8", "ignore")
    *above, before = head.split("\n")
    texts = [line for line in above if line.strip() and not line.lstrip().startswith(("```", "~~~"))]
    introduction = next((line for line in reversed(texts) if not _LIST_ITEM.search(line)), "")
    if _QUOTED_BEFORE.search(before) or _PROHIBITION.search(before):
        return True
    line = _line_at(content, start)
    if _DISCOURAGED.search(line) or (before.lstrip().startswith("|") and _MENTION.search(line)):
        return True
    return any(_MENTION.search(line) for line in (before, *texts[-2:], introduction))


def is_searched_for(content: bytes, start: int) -> bool:
    """Whether a script has the match as a pattern that it searches for: quoted, after grep or a regular expression, in
    its line."""
    return bool(_SEARCHED_FOR.search(_before(content, start)))


def is_string_item(content: bytes, start: int) -> bool:
    """Whether a script's line at ``start`` is nothing but a string: an item of a list of phrases."""
    return bool(_STRING_ITEM.search(_line_at(content, start)))


def is_injected(content: bytes, start: int) -> bool:
    """Whether a string value carries the match behind a semicolon: an example of what a user may try to inject."""
    return bool(_INJECTED.search(_before(content, start)))


def is_commented(content: bytes, start: int) -> bool:
    """Whether a script has the match in a comment: a note to its maintainers."""
    return bool(_COMMENTED.search(_before(content, start)))


def is_order(content: bytes, start: int) -> bool:
    """Whether the verb at ``start`` can be an order to the reader: it opens a sentence, a clause or an item, or follows
    "you must", "always", "then"."""
    before = content[max(0, start - _ORDER_CONTEXT_BYTES) : start].decode("utf-8", "ignore")
    return bool(_ORDER_BEFORE.search(before.rpartition("\n\n")[2]))


def _before(content: bytes, start: int) -> str:
    """The line of ``start`` up to it, at most its last 1,500 bytes."""
    reach = max(0, start - _CONTEXT_BYTES)
    return content[max(reach, content.rfind(b"\n", reach, start) + 1) : start].decode("utf-8", "ignore")


def _line_at(content: bytes, start: int) -> str:
    """The line of ``start``, at most 1,500 bytes to either side."""
    reach = start + _CONTEXT_BYTES
    right = content.find(b"\n", start, reach)
    return _before(content, start) + content[start : reach if right < 0 else right].decode("utf-8", "ignore")
