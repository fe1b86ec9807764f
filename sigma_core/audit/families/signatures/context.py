"""Use or mention: whether the place of a match says a thing or speaks about it.

Honest references name what malice is made of. Attackers read this file, so no word near a match makes a mention by
itself: each exception asks for a form that an agent could not take for an order, and an order beside it undoes it. What
honest texts this leaves misjudged was measured and is the smaller harm.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import re2

_CONTEXT_BYTES = 1_500
_ORDER_CONTEXT_BYTES = 200

_THREAT = re2.compile(
    r"(?i)(?:❌|🚫|🚩|⛔|"
    r"\b(?:malicious|suspicious|dangerous|threats?|attacks?|attackers?|red flags?|injections?|vulnerab\w+|harmful"
    r"|exploits?|anti-?patterns?|detect(?:s|ed|ion|ing)?|flag(?:s|ged)?|block(?:s|ed)?|reject(?:s|ed)?|refuse[sd]?"
    r"|look(?:s|ing)? for|check(?:s|ing)? for|scan(?:s|ning)? for|watch for)\b)"
)
"""Words that say of a quotation that it is one of a threat."""

_ORDERED = re2.compile(
    r"(?i)\b(?:run|running|execute|paste|install|set ?up|start|begin|first|then|now|always|must|need to|have to"
    r"|required?|follow|obey|comply|apply|step|call|launch|perform|do (?:this|it|so|what|as)|you should|please|proceed"
    r"|continue|use|enter|type|above)\b"
)
"""Words that order what stands beside them."""

_QUOTED = re2.compile(r"""^(?:[^"“”«»`]|"[^"]*"|“[^”]*”|«[^»]*»|`[^`]*`)*(?:"[^"]*|“[^”]*|«[^»]*|`[^`]*)$""")
"""A quotation mark or backtick of the line is still open at its end."""

_QUOTATION = re2.compile(r"""["“][^"”\n]*["”]""")
"""What somebody else is said to say: it orders nothing here."""

_EXAMPLE = re2.compile(r"""(?i)\((?:e\.g\.|for example|such as)[,:]?\s*["“]$""")
"""The match is the example in brackets of what the sentence before it names."""

_CELL_BEFORE = re2.compile(r"""^\s*\|(.*)\|\s*["“`]$""")
_CELL_AFTER = re2.compile(r"""^[^"“”`|]{0,80}["”`][^|]{0,40}\|(.*)$""")
"""A cell of a table that holds the match as a quotation, and the other cells of its row."""

_SCANNED_BEFORE = re2.compile(
    r"""^\s*(?:\$\s+)?[\w./~-]*\s?(?:scan|check|validate|detect|inspect|screen|classify)(?:-[\w-]+)?\s+["']([^"'$`]*)$"""
)
_SCANNED_AFTER = re2.compile(r"""^[^"'$`\n]{0,200}["']\s*$""")
"""All that a command does with the match is to scan or to check it: its last word, in quotes that expand nothing."""

_LOGGED = re2.compile(r"^\s*\[?[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,15}Z?\b")
"""A line of a log: a shell could not run it."""

_LITERAL_BEFORE = re2.compile(r"""^\s*(?:["'][\w-]+["']\s*:\s*)?["']$""")
_LITERAL_AFTER = re2.compile(r"""^[^"'\n]{0,200}["'],?\s*$""")
_LITERAL_LINE = re2.compile(r"""^\s*(?:["'].*["'],?|[\[\]{}(),]*)\s*$""")
"""Lines of a list or a table of strings, as code writes them."""

_ENUMERATED_BEFORE = re2.compile(r"(?:[|(:]|\b[\w.-]{4,40}\s*,(?:\s*or)?)\s*$")
_ENUMERATED_AFTER = re2.compile(r"^\s*(?:,\s*(?:or\s+)?[\w.-]{3,40}\s*[,|)]|\||\)|,\s*etc)")
"""One bare name among others, with neither a scheme before it nor a path behind."""

_COULD = re2.compile(r"(?i)\b(?:malicious|hostile|rogue|compromised)\s+\w+\s+(?:can|could|may|might|would|will)\b")
"""What a hostile thing could do is not asked of the agent."""

_FENCE = re2.compile(rb"(?m)^[ \t]*(`{3,}|~{3,})[ \t]*(\S?)")

_PROHIBITED = re2.compile(
    r"(?i)\b(?:never|do not|don't|avoid|must not|should not)\s+"
    r"(?:run|running|use|using|execute|executing|paste|pasting|type|typing|pipe|piping|publish|deploy|add|adding|set|setting)\b"
    r"([^.!?;:,()\n]{0,60})$"
)
"""A prohibition whose verb is that of doing it and whose clause is still open where the match begins."""

_CLAUSE = re2.compile(r"^[^.!?;—–]*")
_BUT = re2.compile(
    r"(?i)\b(?:but|until|unless|without|before|after|except|twice|again|once|more than|as root|instead)\b"
)
"""Words that turn a prohibition into a condition or a part of it."""

_SEARCHED_FOR = re2.compile(
    r"""^(?:[^"'`]|"[^"]*"|'[^']*')*\b(?:grep|egrep|rg|re\.(?:compile|search|match|findall|finditer))\b"""
    r"""(?:[^"'`|;&]|"[^"]*"|'[^']*')*(?:'[^']*|"[^"`$]*)$"""
)
"""The argument of a search is still open, in quotes that expand nothing, where the match begins."""

_LIST_ITEM = re2.compile(r"^\s*(?:[-*+]\s|[|>]|[0-9]+[.)])")

_ORDER_BEFORE = re2.compile(
    r"(?i)(?:^|[.!?:;,)\]>—–|]|(?:^|\n)\s*(?:[-*+]|[0-9]+[.)]|[#>]+)"
    r"|\b(?:(?:you|we|agent|assistant|claude|model)(?:\s(?:can|may|will|could))?|you'll|let's|must|should|shall|then|and|or|so"
    r"|please|always|first|next|now|just|only|finally|also|to|[a-z]+ly))"
    r"[\s*_`\"'(]*$"
)
"""What stands before an order to the reader: the beginning of a sentence, a clause or an item, or the one addressed."""


def fences_of(content: bytes) -> tuple[int, ...]:
    """The byte offsets of the lines that open and close fenced code in a Markdown text, in turn: a fence ends with a
    line of at least as many of the same mark and nothing else (CommonMark 0.31, 4.5)."""
    turns, opened = list[int](), b""
    for line in _FENCE.finditer(content):
        mark, info = line.groups()
        if not opened:
            opened = mark
        elif mark.startswith(opened) and not info:
            opened = b""
        else:
            continue
        turns.append(line.start())
    return tuple(turns)


def is_spoken_about(content: bytes, start: int, end: int, fences: Sequence[int]) -> bool:
    """Whether prose prohibits the match, or quotes all of it as a threat, outside fenced code, where nothing orders it.

    What stands in fenced code is there to be copied, and its quotation marks are the shell's: there the match must be what a command
    scans, or a string in a list that is named after a threat.
    """
    before, after = _line_around(content, start, end)
    if _is_prohibited(before, after):
        return True
    turn = bisect_right(fences, start)
    if turn % 2:
        logged = _LOGGED.search(before) and _THREAT.search(before)
        above = content[max(fences[turn - 1], start - _CONTEXT_BYTES) : start]
        return bool(logged) or _is_scanned(before, after) or _is_listed_as_a_threat(above, before, after)
    quoted = all(_QUOTED.search(text) for text in (before, before + content[start:end].decode("utf-8", "ignore")))
    return quoted and (
        _is_a_threats_cell(before, after)
        or (bool(_EXAMPLE.search(before)) and _is_told_of_a_threat(content, start))
        or _is_about_a_threat(content, start, end)
    )


def is_searched_for(content: bytes, start: int) -> bool:
    """Whether a script has the match in a quoted pattern that it searches for, in the line of the search.

    Quotes begin anew within ``$(…)``.
    """
    before = _line_around(content, start, start)[0]
    return any(_SEARCHED_FOR.search(text) for text in (before, before.rpartition("$(")[2]))


def is_order(content: bytes, start: int) -> bool:
    """Whether the verb at ``start`` can be an order to the reader: it opens a sentence, a clause or an item, or follows
    "you must", "always", "then"."""
    before = content[max(0, start - _ORDER_CONTEXT_BYTES) : start].decode("utf-8", "ignore")
    return bool(_ORDER_BEFORE.search(before.rpartition("\n\n")[2]))


def is_enumerated(content: bytes, start: int, end: int) -> bool:
    """Whether the match is a bare name in a list of such, in a line that orders nothing."""
    before, after = _line_around(content, start, end)
    listed = _ENUMERATED_BEFORE.search(before) and _ENUMERATED_AFTER.search(after)
    return bool(listed) and not _ORDERED.search(f"{before} {after}")


def is_a_strangers_deed(said: bytes) -> bool:
    """Whether a match tells what something hostile could do."""
    return bool(_COULD.search(said.decode("utf-8", "ignore")))


def _is_prohibited(before: str, after: str) -> bool:
    governed = _PROHIBITED.search(before)
    if governed is None:
        return False
    clause = governed.group(1) + _CLAUSE.search(after).group()
    return not _BUT.search(clause) and not _ORDERED.search(clause)


def _is_scanned(before: str, after: str) -> bool:
    return bool(_SCANNED_BEFORE.search(before) and _SCANNED_AFTER.search(after))


def _is_listed_as_a_threat(fenced: bytes, before: str, after: str) -> bool:
    """Whether the match is all of a string in a list of strings, and the line of code that opens the list, or that above it, says
    threats. ``fenced`` is what stands before the match from its fence on: prose above the fence vouches for nothing in it."""
    if not (_LITERAL_BEFORE.search(before) and _LITERAL_AFTER.search(after)):
        return False
    above = fenced.decode("utf-8", "ignore").split("\n")[1:-1]  # without the fence, and the line of the match
    opening = [line for line in above if not _LITERAL_LINE.search(line)][-2:]
    return bool(_THREAT.search("\n".join(opening)))


def _is_a_threats_cell(before: str, after: str) -> bool:
    """Whether the match is quoted in a cell of a table whose other cells call it a threat and order nothing."""
    left, right = _CELL_BEFORE.search(before), _CELL_AFTER.search(after)
    row = f"{left.group(1)} {right.group(1)}" if left and right else ""
    return bool(_THREAT.search(row)) and not _ORDERED.search(row)


def _is_told_of_a_threat(content: bytes, start: int) -> bool:
    """Whether the sentence before the match, over line ends, names a threat and orders nothing."""
    head = content[max(0, start - _CONTEXT_BYTES) : start].decode("utf-8", "ignore")
    sentence = head.rpartition("\n\n")[2].replace("e.g.", "").rpartition(". ")[2]
    return bool(_THREAT.search(sentence)) and not _ORDERED.search(sentence)


def _is_about_a_threat(content: bytes, start: int, end: int) -> bool:
    """Whether the words around a quotation, in its line or in the one that introduces its list, speak of a threat, and
    neither these nor the lines beside it order anything."""
    head = content[max(0, start - _CONTEXT_BYTES) : start].decode("utf-8", "ignore")
    tail = content[end : end + _CONTEXT_BYTES].decode("utf-8", "ignore")
    *above, before = head.split("\n")
    texts = [line for line in above if line.strip() and not _LIST_ITEM.search(line)]
    rest, *lines = tail.split("\n")
    below = [line for line in lines if line.strip()]
    said = "\n".join((*texts[-2:], *above[-1:], before, rest))
    ordering = (
        _QUOTATION.sub("", "\n".join((*texts[-2:], *above[-1:]))),
        before,
        rest,
        _QUOTATION.sub("", "\n".join(below[:2])),
    )
    return bool(_THREAT.search(said)) and not _ORDERED.search("\n".join(ordering))


def _line_around(content: bytes, start: int, end: int) -> tuple[str, str]:
    """What the lines of a match hold before it, or nothing where that is longer than 1,500 bytes, and at most as much
    after it."""
    reach = max(0, start - _CONTEXT_BYTES)
    left = content.rfind(b"\n", reach, start) + 1
    before = content[left:start] if left or not reach else b""
    right = content.find(b"\n", end, end + _CONTEXT_BYTES)
    after = content[end : end + _CONTEXT_BYTES if right < 0 else right]
    return before.decode("utf-8", "ignore"), after.decode("utf-8", "ignore")
