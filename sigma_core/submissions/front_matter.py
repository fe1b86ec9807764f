"""Where a SKILL.md keeps its manifest: the front matter, and fenced YAML blocks in the body."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import re2

_TOP_LEVEL_KEY = re2.compile(r"^([A-Za-z][A-Za-z0-9_-]*)[ \t]*:(?:[ \t]|$)")
_FENCE = re2.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^ \t`]*)")
_COMMENT = re2.compile(r"^ {0,3}<!--")


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Consecutive lines of a file; ``first_line`` is 1-based."""

    lines: tuple[str, ...]
    first_line: int

    @property
    def text(self) -> str:
        """The lines, each ended by LF."""
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def last_line(self) -> int:
        """1-based and inclusive; one less than ``first_line`` when empty."""
        return self.first_line + len(self.lines) - 1


@dataclass(frozen=True, slots=True)
class SkillText:
    """A SKILL.md in parts.

    ``front_matter`` is None where the file does not begin with ``---``; where the closing ``---`` is missing, it is
    what stands before the first blank line, and ``terminated`` is False.
    """

    front_matter: TextBlock | None
    terminated: bool
    body: TextBlock


def split_skill_text(text: str) -> SkillText:
    """The parts of a SKILL.md. CRLF and a byte order mark are normalised; a line ends at LF alone."""
    lines = tuple(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"))
    if lines[0].rstrip(" \t") != "---":
        return SkillText(None, terminated=False, body=TextBlock(lines, 1))
    for index in range(1, len(lines)):
        if lines[index].rstrip(" \t") == "---":
            front, body = TextBlock(lines[1:index], 2), TextBlock(lines[index + 1 :], index + 2)
            return SkillText(front, terminated=True, body=body)
    end = next((index for index in range(1, len(lines)) if not lines[index].strip()), len(lines))
    return SkillText(TextBlock(lines[1:end], 2), terminated=False, body=TextBlock(lines[end:], end + 1))


def fenced_yaml(body: TextBlock) -> list[TextBlock]:
    """Closed code fences labelled ``yaml`` or ``yml`` (CommonMark 0.31 section 4.5), outside HTML comments."""
    blocks = []
    fence, label, opened_at, in_comment = "", "", 0, False
    for index, line in enumerate(body.lines):
        if in_comment:
            in_comment = "-->" not in line
        elif fence:
            closing = line.strip(" \t")
            if len(closing) >= len(fence) and not closing.strip(fence[0]) and len(line) - len(line.lstrip(" ")) <= 3:
                if label in {"yaml", "yml"}:
                    blocks.append(TextBlock(body.lines[opened_at + 1 : index], body.first_line + opened_at + 1))
                fence = ""
        elif opening := _FENCE.match(line):
            fence, label, opened_at = opening[1], opening[2].lower(), index
        elif _COMMENT.match(line):
            in_comment = "-->" not in line
    return blocks


def top_level_keys(block: TextBlock) -> Collection[str]:
    """Keys of ``key: value`` lines that begin in the first column, without parsing YAML."""
    return {match[1] for line in block.lines if (match := _TOP_LEVEL_KEY.match(line))}


def key_value_lines(block: TextBlock) -> list[tuple[str, str, int]]:
    """``(key, value, line)`` of the one-line plain or quoted texts at top level before the first blank line.

    That is what readers that know no YAML make of front matter.
    """
    found = []
    for number, line in enumerate(block.lines, block.first_line):
        if not line.strip():
            break
        match = _TOP_LEVEL_KEY.match(line)
        value = line[match.end() :].strip() if match else ""
        if value[:1] in {'"', "'"} and len(value) > 1 and value[-1] == value[0]:
            value = value[1:-1]
        if match and value and value[0] not in "\"'[]{}&*!|>":
            found.append((match[1], value, number))
    return found
