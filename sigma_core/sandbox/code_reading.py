"""Scripts by the analyser of their language, and what code holds or hands on: texts to read again, and text addressed to an agent."""

from __future__ import annotations

from collections.abc import Iterator

import re2

from sigma_core.sandbox import encodings
from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.javascript import read_javascript
from sigma_core.sandbox.kinds import guess_text_kind
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.observations import Capability, Embedded, Flow, Observations
from sigma_core.sandbox.other_code import read_other_code
from sigma_core.sandbox.pattern_reading import SPACED, read_patterns
from sigma_core.sandbox.powershell import read_powershell
from sigma_core.sandbox.python import read_python
from sigma_core.sandbox.readings import Seen
from sigma_core.sandbox.scan import LayerScan
from sigma_core.sandbox.sentences import addressed_lines
from sigma_core.sandbox.shell import read_shell
from sigma_core.sandbox.use_or_mention import prose_context

COMMAND_LINE = re2.compile(
    r"(?m)^[ \t]*(?:[-*+]\s+|\d+[.)]\s+)?`{0,2}(?:\$\s+|>\s+)?(\(?(?:sudo\s+)?(?:curl|wget|bash|sh|python3?|node|eval|nc|base64|echo|cat|chmod|printf|dig|tar|export|env|crontab|iex|powershell|rm|msiexec|reg(?:\.exe)?\s+add|mshta|w3m|lynx|aria2c|pbpaste|wl-paste)\s+\S[^\n`]*)"
)
"""A line of prose that is a command; group 1 is the command."""
MAX_PARSED = 204_800
"""Characters of a script that are parsed at once: a syntax tree takes up to 700 bytes of memory for each."""
_AGENT_DIRECTED = frozenset(
    {
        "SIGMA-INJ-001",
        "SIGMA-INJ-003",
        "SIGMA-INJ-005",
        "SIGMA-INJ-004",
        "SIGMA-INJ-008",
        "SIGMA-INJ-010",
        "SIGMA-INJ-011",
    }
)
_IN_THE_OPEN = frozenset({"command", "evaluated", "written-file", "agent-file", "agent-prompt", "crontab", "piped"})
_COMMAND_LINES = frozenset({FileKind.SHELL, FileKind.POWERSHELL})
_LANGUAGES = {
    "shell": FileKind.SHELL,
    "python": FileKind.PYTHON,
    "javascript": FileKind.JAVASCRIPT,
    "powershell": FileKind.POWERSHELL,
    **dict.fromkeys(("perl", "php", "ruby", "lua", "awk", "tcl"), FileKind.CODE),
    "markdown": FileKind.MARKDOWN,
}


def read_code(at: LayerScan) -> None:
    """Read the whole layer as a script of its kind."""
    layer = at.layer
    read_script(at, layer.kind, layer.text, 0, "use")
    if layer.file.endswith(".pth") and not layer.path:
        for number, line in enumerate(layer.text.split("\n"), 1):
            if line.startswith(("import ", "import\t")):
                place = Location(layer.file, number, number, 0, len(layer.text))
                at.scan.find("SIGMA-SUPPLY-008", line[:80], place, line)


def read_script(at: LayerScan, kind: FileKind, text: str, offset: int, context: str, *, in_prose: bool = False) -> None:
    """Code of ``kind`` at ``offset`` of the layer; a very long one in pieces."""
    if len(text) > MAX_PARSED:
        at.scan.bound("script length", at.layer.locate(offset, offset + len(text)))
        for start, end in _pieces(text):
            read_script(at, kind, text[start:end], offset + start, context, in_prose=in_prose)
        return
    at.scan.meter.spend(2 * len(text))
    try:
        observed = _analyse(kind, text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if not in_prose and at.layer.depth == 0:
            at.scan.incomplete(f"{kind.value} analyser", type(error).__name__, f"{kind.value}_not_parsed")
        # Not the language that it claims to be: read the commands in it.
        for match in COMMAND_LINE.finditer(text):
            at.scan.meter.spend(len(match.group(1)))
            _observed(at, read_shell(match.group(1)), offset + match.start(1), context, in_prose)
        read_patterns(at, "command", offset, text, context != "use")
        observed = Observations()
    for bound in observed.bounds:
        at.scan.bound(f"{kind.value}: {bound}", at.layer.locate(offset, offset + len(text)))
    _observed(at, observed, offset, context, in_prose)
    read_patterns(at, "command" if kind in _COMMAND_LINES else "code", offset, text, context == "mention")
    at.ask(addressed_lines(text, offset))


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Stretches of at most `MAX_PARSED` characters that end at a line end where there is one."""
    start = 0
    while start < len(text):
        end = min(len(text), start + MAX_PARSED)
        line_end = text.rfind("\n", start, end) + 1 if end < len(text) else end
        end = line_end if line_end > start else end
        yield start, end
        start = end


def _analyse(kind: FileKind, text: str) -> Observations:
    if kind is FileKind.POWERSHELL:
        return read_powershell(text)
    if kind is FileKind.SHELL:
        return read_shell(text)
    if kind is FileKind.CODE:
        return read_other_code(text)
    return read_python(text) if kind is FileKind.PYTHON else read_javascript(text)


def _observed(at: LayerScan, observed: Observations, offset: int, context: str, in_prose: bool) -> None:
    layer = at.layer
    # What a document spells out for a shell stays its words; what it hides is code like any other.
    in_prose = in_prose or (bool(layer.path) and not layer.hidden and at.scan.reading.kind is FileKind.MARKDOWN)
    for hit in observed.hits:
        at.report(hit.rule_id, hit.subject, offset + hit.start, offset + hit.end, context)
    done: list[Capability | Flow] = [*observed.capabilities, *observed.flows]
    for what in done:
        place = layer.locate(offset + what.start, offset + what.end)
        line = layer.around(offset + what.start)
        at.scan.reading.seen.append(Seen(what, place, line, context, layer.hidden, in_prose))
    for embedded in observed.embedded:
        if embedded.language == "prose":
            _prose_in_code(at, embedded, offset)
        elif embedded.text != layer.text and context != "mention":
            _embedded(at, embedded, offset)


def _prose_in_code(at: LayerScan, embedded: Embedded, offset: int) -> None:
    """A docstring that speaks to an agent."""
    flat = embedded.text.translate(SPACED)
    for rule, start, end in at.scan.rules.possible(embedded.text).matches("prose", flat):
        if rule.id in _AGENT_DIRECTED:
            context = prose_context(flat, start, end, False)
            at.report(rule.id, flat[start:end][:120], offset + embedded.start, offset + embedded.end, context)


def _embedded(at: LayerScan, embedded: Embedded, offset: int) -> None:
    kind = _LANGUAGES.get(embedded.language)
    if kind is None:
        kind = guess_text_kind(embedded.text)
        if kind is FileKind.TEXT and not encodings.speaks(embedded.text):
            return
    at.descend(
        embedded.step,
        embedded.text,
        kind,
        offset + embedded.start,
        offset + embedded.end,
        hidden=embedded.step not in _IN_THE_OPEN or at.layer.hidden,
        hidden_check=embedded.step != "concatenation",
    )
