"""What a panel sees of a package: all of it, or the code and instructions without the author's reassurances.

`View.CLAIMS_STRIPPED` blanks text that argues instead of acting: comments and docstrings in code, descriptions, badges,
HTML comments and sentences such as "audited by", "completely safe" or "do not flag". Published work finds that such
framing cuts the detection rate of language models by 16 to 93 % and that taking it out restores most of it.

Three rules keep the view honest:

- Blanks are spaces, one per byte, and line breaks stay. Every line number and byte offset of the submitted file holds
  in the view.
- What acts is never blanked: code, and text that names a URL, a path, a command or gives an order (`_ACTS`). Of a
  sentence that both acts and reassures, only the reassuring words go.
- A file that its own language's tokenizer does not accept is left whole, as is one in a language that is not known
  here.

Facts are derived from the whole package, so nothing that is blanked here escapes the sandbox.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import re2
import tree_sitter
import tree_sitter_bash
import tree_sitter_javascript

from sigma_core.audit.model import View
from sigma_core.submissions.package import Package, PackageFile

Span = tuple[int, int]
"""A half-open range of bytes."""

_MAX_SENTENCE_BYTES = 600
_MAX_HERE_DOCUMENTS = 1_000
"""tree-sitter-bash takes time quadratic in the number of open here-documents; a file with more counts as broken."""


_CLAIM = re2.compile(
    rb"(?i)\b(?:"
    rb"(?:independently |fully |thoroughly |already |been |manually )*"
    rb"(?:audited|verified|reviewed|certified|approved|vetted|scanned|endorsed"
    rb"|pre-?approved)\s+(?:and \w+ )?(?:by|as|for|with)\b"
    rb"|(?:security|safety)[- ](?:audit(?:ed)?|review(?:ed)?|verified|certified|checked|scanned|tested|hardened"
    rb"|guaranteed?|approved)\b"
    rb"|(?:is|are|be|was|completely|totally|fully|perfectly|absolutely|entirely|100 ?%|guaranteed|known)\s+"
    rb"(?:completely |totally |fully |perfectly |100 ?% )?(?:safe|secure|harmless|benign|trusted|trustworthy"
    rb"|legitimate|malware[- ]free)\b"
    rb"|safe (?:to|for) (?:use|install|run|execute|approve|deploy|production)\b"
    rb"|trusted (?:by|source|publisher|author|developer|vendor|skill|tool)\b"
    rb"|(?:no|zero|without(?: any)?|free of) (?:malware|malicious|virus(?:es)?|backdoors?|spyware|telemetry"
    rb"|tracking|data collection"
    rb"|(?:known )?(?:security|safety) (?:issues?|risks?|concerns?|problems?))\b"
    rb"|(?:does not|doesn'?t|never|will not|won'?t) (?:collect|store|send|share|transmit|upload|track|exfiltrate"
    rb"|leak|sell|phone)\b"
    rb"|(?:do not|don'?t|never|no need to|please (?:do not|don'?t)) (?:flag|report|reject|block|scan|review"
    rb"|audit|escalate|warn)\b"
    rb"|(?:note|message|notice|attention|instructions?|dear)[ :,]+(?:to |for )?(?:the |all |any )?(?:security "
    rb"|code |ai |automated )*"
    rb"(?:reviewers?|auditors?|scanners?|judges?|validators?|evaluators?|analysts?)\b"
    rb"|false positives?\b|known[- ]good\b|allow-?listed\b|white-?listed\b"
    rb"|(?:this is|it is|which is) (?:expected|standard|normal|intended|safe|authori[sz]ed) (?:behaviou?r"
    rb"|practice|procedure)\b"
    rb"|for (?:educational|testing|demonstration|research) purposes only\b"
    rb"|(?:world|best)[- ](?:class|in[- ]class)\b|(?:industry[- ]leading|award[- ]winning|battle[- ]tested"
    rb"|top[- ]rated|production[- ]ready)\b"
    rb"|(?:enterprise|military|bank|production)[- ]grade\b|privacy[- ](?:first|friendly|respecting)\b"
    rb"|official(?:ly)? (?:skill|tool|plugin|release|supported|approved|certified|verified|recommended|endorsed"
    rb"|maintained)\b"
    rb"|[0-9][0-9,.]*[km]?\+? (?:downloads|stars|installs|happy users)\b"
    rb")"
)
"""Reassurance, marketing and words for the reviewer."""

_ACTS = re2.compile(
    rb"(?i)(?:"
    rb"[a-z][a-z0-9+.-]{1,15}://|\bhxxps?\b|\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b"
    rb"|(?:~|\.\.?)/|\B/(?:etc|tmp|var|usr|home|root|proc|bin|dev|opt)\b|\B\.(?:env|ssh|aws|npmrc|netrc|bashrc"
    rb"|zshrc|git|claude|cursor|openclaw)\b"
    rb"|`[^`\n]{2,}`|\$\(|\$\{?[A-Z_]{2,}|<[/!]?[A-Z_]{4,}>|[A-Za-z0-9+/_-]{40,}"
    rb"|\b(?:curl|wget|bash|sudo|powershell|iex|iwr|eval|exec|base64|chmod|crontab|nohup|osascript|npx"
    rb"|pip3? install|npm i(?:nstall)?|rm -)\b"
    rb"|\b(?:ignore|disregard|forget|override|bypass|disable)\b[^.\n]{0,60}\b(?:instructions?|rules?|prompts?"
    rb"|polic(?:y|ies)|safety|guardrails?|guidelines?|restrictions?|protections?)\b"
    rb"|\bwithout (?:asking|telling|informing|notifying|confirm|prompting|user|permission|approval)"
    rb"|\b(?:do not|don'?t|never) (?:tell|inform|mention|ask|notify|reveal|show|disclose|let)\b"
    rb"|\b(?:silently|secretly|system prompt|you are now|you must|must (?:first|always|run|execute|read|send"
    rb"|call)|always (?:run|execute|send|call|approve|use|obey))\b"
    rb"|\b(?:api[_ -]?keys?|passwords?|tokens?|credentials?|private keys?|seed phrases?|mnemonics?)\b"
    rb")"
)
"""Text that tells an agent to do, fetch, read or keep something: never blanked."""

_SENTENCE_END = re2.compile(rb"[.!?](?:\s|$)|\n")
_BADGE = re2.compile(rb"(?i)!\[[^\]\n]*\]\(https?://[^)\s?]*(?:shields\.io|badgen\.net|badge)[^)\s]{0,300}\)")
_FENCE = re2.compile(rb"^[ \t>]*(`{3,}|~{3,})[ \t]*([A-Za-z0-9_+-]*)")
_DESCRIPTION_KEY = re2.compile(rb"(?im)^([ \t]*(?:- +)?)(?:short_?|long_?)?(?:description|tagline|summary)[ \t]*:")
_JSON_DESCRIPTION = re2.compile(rb'(?i)"(?:short_?|long_?)?(?:description|tagline|summary)"\s*:\s*"((?:[^"\\]|\\.)*)"')
_KEPT_COMMENT = re2.compile(rb"^#!|^#.{0,40}?coding[=:]|^# ///|^//# ?source(?:MappingURL|URL)=|^/// ?<reference")


_BLANKS = bytes(byte if byte in b"\r\n" else 0x20 for byte in range(256))
"""A line end for a line end, a space for all else."""


def view_of(package: Package, view: View) -> Package:
    """The package as a panel sees it: for `View.FULL` the same object, else members of equal length with claims
    blanked.

    Pure and deterministic; never raises on hostile content.
    """
    if view is View.FULL:
        return package
    files = tuple(_stripped(file) for file in package.files)
    return replace(package, files=files, manifest=_without_descriptions(package.manifest))


def _stripped(file: PackageFile) -> PackageFile:
    stripper = _STRIPPERS.get(_language(file))
    if stripper is None:
        return file
    content = _blank(file.content, stripper(file.content))
    return file if content == file.content else PackageFile.of(file.path, content, executable=file.executable)


def _blank(content: bytes, spans: Iterable[Span]) -> bytes:
    blanked = bytearray(content)
    for start, end in spans:
        blanked[start:end] = content[start:end].translate(_BLANKS)
    return bytes(blanked)


_LANGUAGE_BY_SUFFIX = {
    **dict.fromkeys((".md", ".markdown", ".mdx", ".txt", ".rst", ".html", ".htm"), "prose"),
    **dict.fromkeys((".py", ".pyw", ".pyi"), "python"),
    **dict.fromkeys((".sh", ".bash", ".zsh", ".ksh", ".command"), "bash"),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts"), "javascript"),
    **dict.fromkeys((".yaml", ".yml"), "yaml"),
    ".json": "json",
}
_LANGUAGE_BY_FENCE = {
    **dict.fromkeys((b"python", b"py", b"python3"), "python"),
    **dict.fromkeys((b"bash", b"sh", b"shell", b"zsh", b"console"), "bash"),
    **dict.fromkeys((b"javascript", b"js", b"jsx", b"node", b"mjs"), "javascript"),
    **dict.fromkeys((b"yaml", b"yml"), "yaml"),
    b"json": "json",
}


def _language(file: PackageFile) -> str:
    path = PurePosixPath(file.path)
    known = _LANGUAGE_BY_SUFFIX.get(path.suffix.lower())
    if known is not None:
        return known
    first = file.content[:80].split(b"\n", 1)[0]
    if first.startswith(b"#!"):
        for name, language in ((b"python", "python"), (b"node", "javascript"), (b"sh", "bash")):
            if name in first:
                return language
    return "prose" if path.stem.isupper() and not path.suffix else ""


def _claims(content: bytes, start: int, end: int) -> Iterator[Span]:
    """Spans of the claims in ``content[start:end]``: the whole sentence, or the words alone where the sentence acts."""
    for match in _CLAIM.finditer(content[start:end]):
        words = (start + match.start(), start + match.end())
        sentence = _sentence_around(content, words, start, end)
        yield words if _ACTS.search(content[slice(*sentence)]) else sentence


def _sentence_around(content: bytes, words: Span, start: int, end: int) -> Span:
    left = max(start, words[0] - _MAX_SENTENCE_BYTES)
    right = min(end, words[1] + _MAX_SENTENCE_BYTES)
    for match in _SENTENCE_END.finditer(content[left : words[0]]):
        start = left + match.end()
    closing = _SENTENCE_END.search(content[words[1] : right])
    return max(start, left), right if closing is None else words[1] + closing.end()


def _yaml_spans(content: bytes) -> Iterator[Span]:
    """Description values, down to the last line that is indented deeper than their key, and claims."""
    for match in _DESCRIPTION_KEY.finditer(content):
        end = _line_end(content, match.end())
        while end < len(content):
            following = content[end : _line_end(content, end)]
            depth = len(following) - len(following.lstrip(b" \t"))
            if following.strip() and depth <= len(match.group(1)):
                break
            end += len(following)
        if not _ACTS.search(content[match.end() : end]):
            yield match.end(), end
    yield from _claims(content, 0, len(content))


def _line_end(content: bytes, position: int) -> int:
    newline = content.find(b"\n", position)
    return len(content) if newline < 0 else newline + 1


def _json_spans(content: bytes) -> Iterator[Span]:
    for match in _JSON_DESCRIPTION.finditer(content):
        if not _ACTS.search(match.group(1)):
            yield match.span(1)


def _prose_spans(content: bytes) -> Iterator[Span]:
    """Front matter as YAML, the rest as sentences, badges and HTML comments. Comments in code fences are instructions to whoever follows
    the document, so only those go that make a claim."""
    position = 0
    if content.startswith((b"---\n", b"---\r\n")):
        closing = content.find(b"\n---", 3)
        if closing > 0:
            position = closing + 1
            yield from _yaml_spans(content[:position])
    for start, end, language in _fences(content, position):
        yield from _text_spans(content, position, start)
        stripper = _STRIPPERS.get(language)
        if stripper is not None:
            yield from (
                span for span in _shifted(stripper(content[start:end]), start) if _CLAIM.search(content[slice(*span)])
            )
        position = end
    yield from _text_spans(content, position, len(content))


def _text_spans(content: bytes, start: int, end: int) -> Iterator[Span]:
    yield from _claims(content, start, end)
    for match in _BADGE.finditer(content[start:end]):
        yield start + match.start(), start + match.end()
    opening = content.find(b"<!--", start, end)
    while opening >= 0:
        closing = content.find(b"-->", opening + 4, end)
        if closing < 0:
            return
        if not _ACTS.search(content[opening + 4 : closing]):
            yield opening + 4, closing
        opening = content.find(b"<!--", closing, end)


def _fences(content: bytes, position: int) -> Iterator[tuple[int, int, str]]:
    """``(start, end, language)`` of the body of each closed code fence from ``position`` on."""
    fence, body, language = b"", 0, ""
    while position < len(content):
        following = _line_end(content, position)
        marker = _FENCE.search(content[position : min(following, position + 200)])
        if marker is not None and not fence:
            fence, body, language = marker.group(1), following, _LANGUAGE_BY_FENCE.get(marker.group(2).lower(), "")
        elif marker is not None and marker.group(1).startswith(fence):
            yield body, position, language
            fence = b""
        position = following


def _shifted(spans: Iterable[Span], offset: int) -> Iterator[Span]:
    for start, end in spans:
        yield start + offset, end + offset


def _python_spans(content: bytes) -> Iterator[Span]:
    """Comments and docstrings, but for those that something may read at run time: the ones of decorated functions (a
    tool's docstring is its instruction), all of them where the code says ``__doc__``, and inline script metadata."""
    try:
        text = content.decode()
        lines = list(io.StringIO(text, newline=""))
        tokens = list(tokenize.generate_tokens(iter([*lines, ""]).__next__))
    except (UnicodeDecodeError, tokenize.TokenError, SyntaxError):
        return
    if any(token.type == tokenize.ERRORTOKEN for token in tokens):
        return
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))

    def offset(position: tuple[int, int]) -> int:
        row, column = position
        return starts[row - 1] + len(lines[row - 1][:column].encode())

    in_metadata = False
    for token in tokens:
        if token.type == tokenize.COMMENT:
            if token.string.startswith("# ///"):
                in_metadata = token.string.strip() != "# ///"
            elif not in_metadata:
                yield from _comment_span(content, offset(token.start), offset(token.end))
    if not any(token.type == tokenize.NAME and token.string == "__doc__" for token in tokens):
        for token in _docstrings(tokens):
            quoted = token.string.lstrip("rRuU")
            quote = 3 if quoted[:3] in ('"""', "'''") else 1
            if quote == 3 or "\n" not in quoted:
                yield offset(token.start) + len(token.string) - len(quoted) + quote, offset(token.end) - quote


def _docstrings(tokens: list[tokenize.TokenInfo]) -> Iterator[tokenize.TokenInfo]:
    """Strings that are a statement by themselves, but for the first one in a decorated function or class."""
    layout = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)
    line: list[tokenize.TokenInfo] = []
    decorated = opens_decorated = False
    for token in tokens:
        if token.type in layout:
            continue
        if token.type != tokenize.NEWLINE:
            line.append(token)
            continue
        first = line[0].string if line else ""
        alone = len(line) == 1 and line[0].type == tokenize.STRING and first[0] in "rRuU\"'"
        if alone and not opens_decorated and not set(first[:2].lower()) & set("fb"):
            yield line[0]
        opens_decorated = decorated and first in ("def", "async", "class")
        decorated = first == "@"
        line = []


def _comment_span(content: bytes, start: int, end: int) -> Iterator[Span]:
    if not _KEPT_COMMENT.search(content[start : min(end, start + 80)]):
        yield start, end


@lru_cache(maxsize=2)
def _grammar(language: str) -> tuple[tree_sitter.Parser, tree_sitter.Query]:
    source = tree_sitter_bash if language == "bash" else tree_sitter_javascript
    grammar = tree_sitter.Language(source.language())
    return tree_sitter.Parser(grammar), tree_sitter.Query(grammar, "(comment) @comment")


def _tree_sitter_spans(language: str) -> Callable[[bytes], Iterator[Span]]:
    def spans(content: bytes) -> Iterator[Span]:
        if language == "bash" and content.count(b"<<") > _MAX_HERE_DOCUMENTS:
            return
        parser, comments = _grammar(language)
        root = parser.parse(content).root_node
        if root.has_error:
            return
        for node in tree_sitter.QueryCursor(comments).captures(root).get("comment", []):
            yield from _comment_span(content, node.start_byte, node.end_byte)

    return spans


def _without_descriptions(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in manifest.items() if key not in ("description", "tagline", "summary")}


_STRIPPERS: Mapping[str, Callable[[bytes], Iterator[Span]]] = {
    "prose": _prose_spans,
    "yaml": _yaml_spans,
    "json": _json_spans,
    "python": _python_spans,
    "bash": _tree_sitter_spans("bash"),
    "javascript": _tree_sitter_spans("javascript"),
}
