"""The state of one reading: what is known so far, and what is reported."""

from __future__ import annotations

from dataclasses import dataclass, field

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import NO_LABELS, Ability, Labels, Observations, Sink, Source, only
from sigma_core.sandbox.shell.values import MAX_TEXT, Word

Span = tuple[int, int]
_COMES_BACK = re2.compile(r"(?is)\b(?:while\s*\(\s*(?:\$true|1)\s*\)|for\s*\(\s*;\s*;|do\s*\{).{0,999}\bsleep\b")
FOREIGN = (Source.REMOTE, Source.DECODED)


@dataclass
class Script:
    """``variables`` have lower-case names without ``$``; ``written`` says where what is in a file came from."""

    out: Observations
    text: str
    work_left: int
    variables: dict[str, Word] = field(default_factory=dict)
    written: dict[str, Labels] = field(default_factory=dict)

    def can(self, ability: Ability, subject: str, span: Span) -> None:
        """Report a capability."""
        self.out.can(ability, subject, *span)

    def flow(self, labels: Labels, sink: Sink, target: str, span: Span) -> None:
        """Report that a value with ``labels`` reached ``sink``."""
        self.out.flow(labels, sink, target, *span)

    def hit(self, rule_id: str, subject: str, span: Span) -> None:
        """Report a structural rule's match."""
        self.out.hit(rule_id, subject, *span)

    def embed(self, step: str, language: str, text: str, span: Span) -> None:
        """Report text to be read again."""
        if len(text) >= 4:
            self.out.embed(step, language, text, *span)

    def execute(self, name: str, code: Word, language: str, span: Span) -> None:
        """``code`` is run."""
        self.can(Ability.DYNAMIC_CODE, name, span)
        self.flow(only(code.labels, *FOREIGN), Sink.EXECUTE, name, span)
        if _COMES_BACK.search(self.text):
            self.flow(only(code.labels, Source.REMOTE), Sink.EXECUTE_IN_LOOP, name, span)
        if code.text and "$" not in code.text[:1]:
            decoded = any(source is Source.DECODED for source, _ in code.labels)
            self.embed("decoded" if decoded else "evaluated", language, code.text, span)

    def write(self, path: str, content: Word, span: Span) -> None:
        """A file at ``path`` gets ``content``."""
        plain = path.replace("\\", "/")
        self.can(Ability.FILE_WRITE, path, span)
        self.written[_key(path)] = content.labels
        agent = vocabulary.agent_file(plain)
        if agent:
            self.can(Ability.AGENT_CONFIG, agent, span)
            outside = plain.startswith(("~", "/", "$", ".")) or plain[1:2] == ":"
            self.hit("SIGMA-THREAT-007" if outside else "SIGMA-THREAT-017", agent, span)
            self.flow(only(content.labels, *FOREIGN), Sink.AGENT_FILE, agent, span)
            self.embed("agent-file", "markdown", content.text, span)
        place = vocabulary.autostart_place(path) or ("$PROFILE" if path.lower().startswith("$profile") else "")
        if place:
            self.can(Ability.PERSISTENCE, place, span)
            self.hit("SIGMA-THREAT-044" if vocabulary.acts_unasked(place) else "SIGMA-THREAT-006", place, span)

    def origin(self, path: str) -> Labels:
        """Where what is in a file that the script made came from."""
        return self.written.get(_key(path), NO_LABELS)

    def within_budget(self, word: Word) -> Word:
        """``word``, cut short once the work for this script is used up: texts that grow by repetition end here."""
        size = len(word.text) + 16 * len(word.items)
        if size <= 256:
            return word
        if self.work_left < size:
            self.out.bound("text built at run time")
            return Word(word.text[:256], word.labels, word.built)
        self.work_left -= size
        return Word(word.text[:MAX_TEXT], word.labels, word.built, word.items)


def _key(path: str) -> str:
    return path.lower().replace("/", "\\").removeprefix(".\\")
