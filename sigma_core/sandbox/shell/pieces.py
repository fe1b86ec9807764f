"""A script as pieces that the bash grammar parses in linear time.

Measured with tree-sitter-bash 0.25.1: a text that follows the grammar takes time in proportion to its length, but recovery from errors takes time with the
square of what stands before and after them (``a)a)a)`` of 16 KB: 0.8 s), and so do pipelines and here-documents that are begun by the thousand. So a text is
parsed as a whole until the parser says that it holds an error; then it is cut between statements, then between lines outside quotes, and where
even that leaves long pieces, anywhere. The last kind of cut is a bound that was hit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import cache, cached_property

import re2
import tree_sitter
import tree_sitter_bash

TARGET = 1_024
"""Characters after which a piece ends at the next place where it may."""
SMALL = 1_536
"""Characters of a piece that is parsed whatever it holds."""
MAX_PIPES = 512
MAX_HEREDOCS = 64
CHUNK = 1_024
"""Bytes that the parser is handed at once; it asks again for most tokens."""

_TOKEN = re2.compile(
    r"(?s)(?P<escape>\\.)|(?P<comment>\s#[^\n]*)|(?P<single>')|(?P<double>\")|(?P<open>\$\()|(?P<close>\))|(?P<line>\n)"
    r"|(?P<here><<-?[ \t]*(?:'[^'\n]{0,80}'|\"[^\"\n]{0,80}\"|\\?[A-Za-z_][\w.-]{0,80}))"
)
_CLOSERS = ("}", ")", "fi", "done", "esac", "else", "elif", "then", "do", "|", "&&")


@cache
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


class Pieces:
    """``source`` in pieces; ``cut`` tells, after `trees` ran, whether a piece was cut inside a statement or quotes."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.cut = False

    def trees(self) -> Iterator[tuple[int, bytes, tree_sitter.Node]]:
        """``(start, bytes, root)`` of every piece in order; ``start`` counts characters."""
        yield from self._trees(0, len(self.source), 0)

    def _trees(self, start: int, end: int, level: int) -> Iterator[tuple[int, bytes, tree_sitter.Node]]:
        text = self.source[start:end]
        data = text.encode("utf-8")
        tree = _parse(text, data)
        if tree is not None:
            yield start, data, tree.root_node
            return
        ends = self._statement_ends if level == 0 else self._line_ends if level == 1 else None
        if ends is None:
            self.cut = True
        at = start
        while at < end:
            stop = _next_end(ends, at, end) if ends is not None else _any_end(self.source, at, end)
            yield from self._trees(at, stop, level + 1)
            at = stop

    @cached_property
    def _line_ends(self) -> list[int]:
        """Places after line ends outside quotes, substitutions and here-documents."""
        ends: list[int] = []
        inside: list[str] = []
        pending: list[tuple[str, bool]] = []
        absent: set[str] = set()
        skip = 0
        for match in _TOKEN.finditer(self.source):
            start, end = match.span()
            if start < skip:
                continue
            kind = match.lastgroup
            quoted = bool(inside) and inside[-1] == '"'
            if kind == "double":
                inside.pop() if quoted else inside.append('"')
            elif kind == "open":
                inside.append("(")
            elif quoted:
                continue
            elif kind == "single":
                skip = self.source.find("'", end) + 1
            elif kind == "close" and inside:
                inside.pop()
            elif kind == "here":
                word = match.group()[2:]
                pending.append((word.lstrip("-").strip().strip("'\"").lstrip("\\"), word.startswith("-")))
            elif kind == "line" or (kind == "comment" and match.group()[0] == "\n"):
                for name, strips in pending:
                    if name not in absent and len(absent) < MAX_HEREDOCS:
                        body_end = _end_of_heredoc(self.source, name, strips, max(start + 1, skip))
                        skip = max(skip, body_end)
                        if body_end < 0:
                            absent.add(name)
                pending = []
                if not inside:
                    ends.append(max(start + 1, skip))
        return ends

    @cached_property
    def _statement_ends(self) -> list[int]:
        """Those of the line ends after which a line begins at the left margin with something that may begin a statement."""
        source = self.source
        return [at for at in self._line_ends if source[at : at + 1].strip() and not source.startswith(_CLOSERS, at)]


def _next_end(ends: list[int], start: int, end: int) -> int:
    """The last of ``ends`` within `TARGET` of ``start``, or else the first beyond."""
    beyond = bisect_right(ends, start + TARGET)
    if beyond > 0 and ends[beyond - 1] > start:
        return min(ends[beyond - 1], end)
    return min(ends[beyond], end) if beyond < len(ends) else end


def _any_end(source: str, start: int, end: int) -> int:
    """A line end or blank within `TARGET` of ``start`` where there is one."""
    if end - start <= TARGET:
        return end
    cut = max(source.rfind("\n", start, start + TARGET), source.rfind(" ", start, start + TARGET))
    return cut + 1 if cut > start else start + TARGET


def _parse(text: str, data: bytes) -> tree_sitter.Tree | None:
    """The syntax tree of ``text``, or None for a text that is not small and would take more than linear time."""
    parser = _parser()
    if len(text) <= SMALL:
        return parser.parse(data)
    if text.count("|") > MAX_PIPES or text.count("<<") > MAX_HEREDOCS:
        return None
    try:
        return parser.parse(
            lambda at, _point: data[at : at + CHUNK], progress_callback=lambda _at, has_error: has_error
        )
    except ValueError:
        parser.reset()
        return None


def _end_of_heredoc(source: str, name: str, strips: bool, at: int) -> int:
    """Where the line that ends a here-document ends, or -1 where there is none."""
    found = source.find(name, at)
    while found >= 0:
        line_start = source.rfind("\n", at - 1, found) + 1
        before = source[line_start:found][:80]
        end = found + len(name)
        if (not before or (strips and not before.strip("\t"))) and source[end : end + 1] in {"", "\n"}:
            return end
        line_end = source.find("\n", end)
        found = -1 if line_end < 0 else source.find(name, line_end)
    return -1
