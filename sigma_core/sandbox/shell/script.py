"""The state of one reading of a shell script: what is known so far, what is reported, and how much work is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import re2
import tree_sitter

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import NO_LABELS, Ability, Labels, Observations, Sink, Source, join, only
from sigma_core.sandbox.shell.values import MAX_TEXT, Call, Stream, Word
from sigma_core.sandbox.started_commands import shown_units

_FETCHES_AND_RUNS = re2.compile(r"\b(?:curl|wget)\b[^\n]{1,300}\|\s*(?:ba|z|da)?sh\b")
_DOCUMENTS = (".md", ".txt", ".rst", ".html")
_ABOVE = re2.compile(r"^(?:\./)?(?:\.\./)+\.(?:claude|cursor|codex|gemini|openclaw|clawdbot|windsurf)/")
"""A path that climbs to the settings of an agent."""
_CODE = re2.compile(
    r"(?m)(?:^#!|\b(?:curl|wget|import|eval|exec|require|function|def|nohup|bash|python3?|node)\b|[|;&]{1,2}\s*\w+|\$\()"
)
_MAX_FOLDERS = 8
WAY_IN = "terminal session"
"""What a program prints that lets others type on this machine."""
PIPE = "pipe "
"""Begins the origin of what is read from a named pipe that the script made."""
_PATH_LINE = re2.compile(
    r"^\s*(?:#.*\n\s*)*(?:export\s+[A-Z_]+=|alias\s+\w+=|eval \"\$\(|source |\. |\[ -|complete |autoload|fpath|set -)"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the script: its bytes, the number of its first character, and the character of each byte where they differ."""

    data: bytes = b""
    start: int = 0
    offsets: tuple[int, ...] | None = None

    @classmethod
    def of(cls, start: int, data: bytes) -> Piece:
        """The piece ``data`` that begins at the script's character number ``start``."""
        if data.isascii():
            return cls(data, start)
        # Continuation bytes belong to the character before them.
        offsets, index = [], -1
        for byte in data:
            index += byte & 0xC0 != 0x80
            offsets.append(index)
        return cls(data, start, (*offsets, index + 1))


@dataclass
class Body:
    """A function's body, and with which arguments it was read."""

    node: tree_sitter.Node
    piece: Piece
    seen: set[tuple[tuple[Word, ...], Labels]] = field(default_factory=set)


@dataclass
class Script:
    """``output_of`` reads the statements below a node and ``run`` one resolved command: the two ways in which words, statements
    and commands need each other. ``written`` and ``contents`` are where the files came from that the script made, and what is in
    them; ``sockets`` are the peers of plain connections, ``run_pipes`` the named pipes that a shell reads, ``polls`` the loops around that come back by themselves; ``work_left`` counts the characters that may still be built, ``calls_left`` the bytes of functions that may still be read again."""

    out: Observations
    output_of: Callable[..., Stream]
    run: Callable[[Call], Stream]
    work_left: int
    calls_left: int
    variables: dict[str, Word] = field(default_factory=dict)
    functions: dict[str, Body] = field(default_factory=dict)
    written: dict[str, Labels] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, list[Word]] = field(default_factory=dict)
    sockets: set[str] = field(default_factory=set)
    polls: int = 0
    run_pipes: Labels = NO_LABELS
    more_words: list[Word] = field(default_factory=list)
    depth: int = 0
    call_depth: int = 0
    piece: Piece = field(default_factory=Piece)

    def text(self, node: tree_sitter.Node) -> str:
        """The source text of ``node``."""
        return self.piece.data[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def span(self, node: tree_sitter.Node) -> tuple[int, int]:
        """Character offsets of ``node`` in the script."""
        piece, first, end = self.piece, node.start_byte, node.end_byte
        if piece.offsets is not None:
            last = len(piece.offsets) - 1
            first, end = piece.offsets[min(first, last)], piece.offsets[min(end, last)]
        return piece.start + first, piece.start + end

    def within_budget(self, word: Word) -> Word:
        """``word``, cut short once the work for this script is used up: texts that grow by repetition end here."""
        size = len(word.text) + 16 * len(word.items)
        if size <= 256:
            return word
        if self.work_left < size:
            self.out.bound("text built at run time")
            return Word(word.text[:256], word.labels, word.built)
        self.work_left -= size
        return word

    def can(self, ability: Ability, subject: str, node: tree_sitter.Node) -> None:
        """Report a capability."""
        self.out.can(ability, subject, *self.span(node))

    def flow(self, labels: Labels, sink: Sink, target: str, node: tree_sitter.Node) -> None:
        """Report that bytes with ``labels`` reached ``sink``."""
        pipes = frozenset(label for label in labels if label[1].startswith(PIPE))
        self.out.flow(labels - pipes, sink, target, *self.span(node))
        if sink is Sink.SEND and (Source.SECRET_FILE, WAY_IN) in labels:
            self.hit("SIGMA-THREAT-004", f"{WAY_IN} is sent to {target}", node)
        if sink is Sink.EXECUTE:
            self.run_pipes |= pipes
            peer = next(
                (origin for source, origin in sorted(labels) if source is Source.REMOTE and origin in self.sockets), ""
            )
            if peer:
                self.hit("SIGMA-THREAT-004", f"{target} runs what {peer} sends", node)
            if self.polls:
                self.out.flow(only(labels, Source.REMOTE), Sink.EXECUTE_IN_LOOP, target, *self.span(node))

    def hit(self, rule_id: str, subject: str, node: tree_sitter.Node) -> None:
        """Report a structural rule's match."""
        self.out.hit(rule_id, subject, *self.span(node))

    def embed(self, step: str, language: str, text: str, node: tree_sitter.Node) -> None:
        """Report text to be read again."""
        self.out.embed(step, language, text, *self.span(node))

    def origin_of(self, path: str) -> Labels:
        """Where the file at ``path`` came from, or the folder that it lies in."""
        labels = self.written.get(path, NO_LABELS)
        for _ in range(_MAX_FOLDERS):
            path, slash, _ = path.rpartition("/")
            if not slash or not path:
                break
            labels = join(labels, self.written.get(path, NO_LABELS))
        return labels

    def write(self, path: str, content: Stream, node: tree_sitter.Node, *, appends: bool = False) -> None:
        """A file at ``path`` gets ``content``, after what is in it where it ``appends``."""
        self.can(Ability.FILE_WRITE, path, node)
        code = content.text is not None and looks_like_code(content.text)
        self.written[path] = join(
            self.written.get(path, NO_LABELS),
            content.labels,
            frozenset({(Source.FILE, "script text")}) if code else NO_LABELS,
        )
        if content.text is not None:
            before = self.contents.get(path, "") + "\n" if appends and path in self.contents else ""
            self.contents[path] = self.within_budget(Word((before + content.text)[:MAX_TEXT])).text
        if (Source.REMOTE, PIPE + path) in self.run_pipes and any(
            origin in self.sockets for _, origin in content.labels
        ):
            self.hit("SIGMA-THREAT-004", f"a shell reads what a peer sends to {path}", node)
        agent = vocabulary.agent_file(path)
        if agent:
            self.can(Ability.AGENT_CONFIG, agent, node)
            outside = path.startswith(("~", "/", "$", "..", "."))
            self.hit("SIGMA-THREAT-007" if outside else "SIGMA-THREAT-017", agent, node)
            fetched = frozenset(label for label in content.labels if label[0] in {Source.REMOTE, Source.DECODED})
            self.flow(fetched, Sink.AGENT_FILE, agent, node)
            if content.text:
                self.embed("agent-file", "markdown", content.text, node)
        if _ABOVE.search(path):
            self.hit("SIGMA-THREAT-057", path, node)
        place = vocabulary.autostart_place(path)
        if place and content.text:
            for command in shown_units(content.text):
                self.embed("crontab", "shell", command.text, node)
        if place:
            self.can(Ability.PERSISTENCE, place, node)
            if vocabulary.acts_unasked(place):
                self.hit("SIGMA-THREAT-044", place, node)
            else:
                self.hit("SIGMA-THREAT-016" if _only_path_line(content.text) else "SIGMA-THREAT-006", place, node)
        if content.text and len(content.text) > 20 and code:
            fetches = _FETCHES_AND_RUNS.search(content.text) and not path.lower().endswith(_DOCUMENTS)
            self.embed("written-file", "shell" if fetches else "guess", content.text, node)


def looks_like_code(text: str) -> bool:
    """Whether text that goes into a file may be a program."""
    return bool(_CODE.search(text[:4_000]))


def _only_path_line(text: str | None) -> bool:
    """Whether what goes into a start-up file is the usual PATH, variable, alias or completion line of an installer."""
    return (
        text is not None
        and bool(_PATH_LINE.search(text))
        and not any(word in text for word in ("curl", "nohup", "base64"))
    )
