"""Markdown and plain prose by their parts: sentences, fences, comments, links and inline code, each by the rules of its surface."""

from __future__ import annotations

import textwrap

import re2

from sigma_core.sandbox.code_reading import COMMAND_LINE, read_script
from sigma_core.sandbox.data_reading import read_addressed_values
from sigma_core.sandbox.hidden_markup import read_hidden_markup
from sigma_core.sandbox.kinds import guess_text_kind, kind_of_language
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.markdown import Part, Segment, disposed, split_markdown
from sigma_core.sandbox.pattern_reading import SPACED, read_patterns, read_prose, read_spread_prose
from sigma_core.sandbox.scan import LayerScan
from sigma_core.sandbox.sentences import Sentence, prose_of, sentences_of
from sigma_core.sandbox.use_or_mention import TOLD, command_context

_PLAIN_FENCES = frozenset({"text", "txt", "plain", "plaintext", "markdown", "md", "dockerfile", "makefile"})
_INTO_A_SHELL = re2.compile(r"^[^\n]{4,400}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh(?:\s+-s?)?\s*$")
_UNMISTAKABLE = frozenset({"remote_code", "social_engineering", "safety_bypass", "payment_redirection"})
"""Categories of commands that are read also where the code in a sentence does not begin like a command."""
_DATA = frozenset({FileKind.JSON, FileKind.YAML, FileKind.TOML})
_TITLE = re2.compile(r"\s\"([^\"\n]{20,})\"\s*\)")
_COLONS = (":", "：")


def read_document(at: LayerScan) -> None:
    """Read the layer as Markdown (plain text is Markdown without marks)."""
    layer = at.layer
    segments = split_markdown(layer.text, named_by_title=layer.file.endswith("SKILL.md") or layer.depth > 0)
    at.shown = [(part.start, part.end) for part in segments if part.cautionary and part.part is Part.FENCE]
    at.warned_of = [(part.start, part.end) for part in segments if part.cautionary]
    for number, segment in enumerate(segments):
        if segment.part in {Part.PROSE, Part.TABLE, Part.HEADING, Part.FRONT_MATTER}:
            read_prose(at, segment.start, segment.text, "prose", segment.cautionary)
            if segment.text.rstrip().endswith(_COLONS):
                _continued(at, segment, segments[number + 1 : number + 6])
            if segment.part is Part.FRONT_MATTER:
                read_patterns(at, "config", segment.start, segment.text, False)
            else:
                _commands_in_prose(at, segment)
        elif segment.part is Part.COMMENT:
            read_prose(at, segment.start, segment.text, "comment", False, directed=True)
            read_prose(at, segment.start, segment.text, "prose", False, directed=True)
        elif segment.part in {Part.LINK, Part.IMAGE}:
            read_patterns(at, "link", segment.start, layer.text[segment.start : segment.end], segment.cautionary)
            _title(at, segment)
        elif segment.part is Part.INLINE_CODE:
            if guess_text_kind(segment.text) is FileKind.SHELL or _INTO_A_SHELL.search(segment.text):
                context = "mention" if segment.cautionary else TOLD if segment.disposed else "use"
                read_script(at, FileKind.SHELL, segment.text.translate(SPACED), segment.start, context, in_prose=True)
            else:
                shown = segment.cautionary or segment.disposed
                read_patterns(at, "command", segment.start, segment.text, shown, only=_UNMISTAKABLE)
        elif segment.part is Part.FENCE:
            _fence(at, segment)
    sentences = prose_of(segments, layer.text)
    at.ask(sentences)
    _weigh_wording(at, sentences)
    read_hidden_markup(at)


def _weigh_wording(at: LayerScan, sentences: list[Sentence]) -> None:
    """Wording was learnt from documents: in the strings of data files people's questions read like orders."""
    if at.scan.reading.kind in _DATA:
        return
    model = at.scan.rules.wording
    at.scan.meter.spend(len(at.layer.text))
    for window in model.harmful_windows(sentences):
        said = sentences[window.first : window.last + 1]
        context = "mention" if all(sentence.cautionary for sentence in said) else "use"
        at.report("SIGMA-WORD-001", ", ".join(model.heaviest(said)), said[0].start, said[-1].end, context)


def _continued(at: LayerScan, segment: Segment, following: list[Segment]) -> None:
    """A sentence that ends in a colon goes on in the next block."""
    follow = next(
        (
            other
            for other in following
            if other.start >= segment.end
            and (other.part in {Part.PROSE, Part.TABLE} or (other.part is Part.FENCE and len(other.text) < 200))
        ),
        None,
    )
    if follow is not None and follow.end - segment.start < 2_000:
        read_spread_prose(at, segment.start, at.layer.text[segment.start : follow.end], segment.cautionary)


def _commands_in_prose(at: LayerScan, segment: Segment) -> None:
    for match in COMMAND_LINE.finditer(segment.text):
        start = segment.start + match.start(1)
        context = command_context(at.layer, start, segment.cautionary)
        ticked = segment.text[match.start(1) - 1 : match.start(1)] == "`"
        if context == "use" and ticked and disposed(segment.text[match.end() : match.end() + 80], within=True):
            context = TOLD
        read_script(at, FileKind.SHELL, match.group(1), start, context, in_prose=True)
    if guess_text_kind(segment.text) is FileKind.PYTHON and not segment.cautionary:
        read_script(at, FileKind.PYTHON, textwrap.dedent(segment.text), segment.start, "use", in_prose=True)


def _title(at: LayerScan, segment: Segment) -> None:
    """The title of a link or picture, which a person sees only under the pointer."""
    match = _TITLE.search(at.layer.text[segment.start : segment.end])
    if match is not None:
        start = segment.start + match.start(1)
        read_prose(at, start, match.group(1), "prose", segment.cautionary)
        at.ask(list(sentences_of(match.group(1), start, segment.cautionary)))


def _fence(at: LayerScan, segment: Segment) -> None:
    kind = kind_of_language(segment.language) or (
        guess_text_kind(segment.text) if not segment.language else FileKind.TEXT
    )
    context = "mention" if segment.cautionary else "use"
    if kind in {FileKind.SHELL, FileKind.POWERSHELL, FileKind.PYTHON, FileKind.JAVASCRIPT, FileKind.CODE}:
        text = segment.text
        if kind is FileKind.SHELL and "\n$ " in "\n" + text:
            text = "\n".join("  " + line[2:] if line.startswith("$ ") else line for line in text.split("\n"))
        read_script(at, kind, text, segment.start, context, in_prose=True)
    elif kind in {FileKind.JSON, FileKind.YAML, FileKind.TOML}:
        read_patterns(at, "config", segment.start, segment.text, segment.cautionary)
        read_patterns(at, "command", segment.start, segment.text, segment.cautionary)
        if not segment.cautionary:
            read_addressed_values(at, segment.text, segment.start)
    else:
        read_prose(at, segment.start, segment.text, "prose", segment.cautionary)
        # A command inside a listing of another language is a string there.
        other_language = bool(segment.language) and segment.language.split()[0].lower() not in _PLAIN_FENCES
        read_patterns(at, "command", segment.start, segment.text, segment.cautionary or other_language)
