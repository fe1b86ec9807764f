"""Endpoints that documents declare: tables with a header, requests in code fences, ``METHOD /path`` in lists and prose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import re2

from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.markdown import Part, Segment, split_markdown

MAX_ENDPOINTS = 500
"""Endpoints read from one document."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
UNKNOWN = "unknown"
"""``auth`` of an endpoint of which no document says whether it needs any."""
NONE = "none"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One declared endpoint. ``auth`` names what it needs, `NONE` or `UNKNOWN`; ``form`` is how it is declared; ``line`` (1-based) is the evidence."""

    method: str
    path: str
    auth: str
    form: str
    file: str
    line: int

    def as_json(self) -> dict[str, str | int]:
        """``{method, path, auth, form, file, line}``."""
        return {
            "method": self.method,
            "path": self.path,
            "auth": self.auth,
            "form": self.form,
            "file": self.file,
            "line": self.line,
        }


_PATH = r"(?:https?://[^\s|`\"'<>)]+|/[\w{}:.~$*@%/?=&,+<>-]*)"
_CALL = re2.compile(rf"\b(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\b[`*\"']{{0,3}}[ \t:|]{{1,4}}[`*\"']{{0,3}}({_PATH})")
_METHOD_CELL = re2.compile(r"\|[ `*]{0,4}(?:GET|POST|PUT|PATCH|DELETE)\b")
_CURL = re2.compile(r"\bcurl\b((?:[^\n\\]|\\\r?\n|\\.)*)")
_CURL_METHOD = re2.compile(r"(?:-X|--request)[ =]?['\"]?(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\b")
_CURL_BODY = re2.compile(r"(?:^|\s)(?:-d|--data(?:-\w+)?|--json|-F|--form)(?:[ =]|$)")
_CURL_URL = re2.compile(r"https?://[^\s'\"`\\]+")
_AUTH = re2.compile(
    r"(?i)\b(?:authorization|bearer|x-[\w-]*(?:api-?key|token|auth)[\w-]*|api[-_ ]?keys?|oauth2?|jwt|basic auth|access tokens?|auth tokens?|mtls|hmac)\b|(?:^|\s)-u[ =]"
)
_NO_AUTH = re2.compile(
    r"(?i)\b(?:no auth(?:entication|orization)?|without auth\w*|unauthenticated|publicly accessible|auth(?:entication)? (?:is )?not (?:required|needed)|no (?:api )?key (?:is )?(?:required|needed))\b"
)
_ALL_AUTH = linear_pattern(
    r"(?i)\b(?:all|every|each|any)\b[^.\n]{0,30}\b(?:endpoints?|requests?|calls?|routes?|operations?)\b[^.\n]{0,80}\b(?:require|need|must|use|includ|authenticat|send|pass)\w*[^.\n]{0,100}"
)
_ALL_OPEN = re2.compile(
    r"(?i)\b(?:all|every|no)\b[^.\n]{0,30}\b(?:endpoints?|api|routes?)\b[^.\n]{0,40}\b(?:public|without auth\w*|no auth\w*|need no|require no|requires? auth\w*)\b"
)
_HEADER_METHOD = re2.compile(r"(?i)^(?:http )?(?:method|verb)s?$")
_HEADER_PATH = re2.compile(r"(?i)^(?:path|endpoint|route|url|uri|resource)s?$")
_HEADER_AUTH = re2.compile(r"(?i)^(?:auth\w*|security|requires auth\w*|auth(?:entication)? required|access)\??$")
_NO = frozenset(
    {"", "-", "—", "–", "no", "none", "public", "false", "n/a", "open", "✗", "❌", "not required", "anonymous"}
)
_YES = frozenset({"yes", "true", "required", "✓", "✅", "y", "x"})
_RULE = re2.compile(r"^[\s|:+-]+$")


def document_endpoints(file: str, text: str) -> list[Endpoint]:
    """The endpoints that one document declares, in order; what it says of all of them at once fills the gaps."""
    if "curl" not in text and _CALL.search(text) is None and _METHOD_CELL.search(text) is None:
        return []
    general = _general_auth(text)
    found: list[Endpoint] = []
    for segment in split_markdown(text, named_by_title=True):
        if segment.cautionary or segment.part in {
            Part.LINK,
            Part.IMAGE,
            Part.COMMENT,
            Part.INLINE_CODE,
            Part.FRONT_MATTER,
        }:
            continue
        first_line = text.count("\n", 0, segment.start) + 1
        read = _table if segment.part is Part.TABLE else _fence if segment.part is Part.FENCE else _prose
        for method, path, auth, form, line in read(segment):
            found.append(Endpoint(method, path, general if auth == UNKNOWN else auth, form, file, first_line + line))
            if len(found) == MAX_ENDPOINTS:
                return found
    return found


_Row = tuple[str, str, str, str, int]


def _general_auth(text: str) -> str:
    if match := _ALL_AUTH.search(text):
        named = _AUTH.search(match.group())
        return named.group().strip().lower() if named else UNKNOWN
    return NONE if _ALL_OPEN.search(text) and _NO_AUTH.search(text) else UNKNOWN


def _table(segment: Segment) -> Iterator[_Row]:
    """Rows below a header that names a path column; other tables are read as prose."""
    lines = segment.text.split("\n")
    header = [cell.strip("`*_ ").strip() for cell in _cells(lines[0])]
    methods = [at for at, cell in enumerate(header) if _HEADER_METHOD.search(cell)]
    paths = [at for at, cell in enumerate(header) if _HEADER_PATH.search(cell)]
    auths = [at for at, cell in enumerate(header) if _HEADER_AUTH.search(cell)]
    if not paths or len(lines) < 3 or not _RULE.search(lines[1]):
        yield from _prose(segment)
        return
    for number, line in enumerate(lines[2:], 2):
        cells = [cell.strip("`*_ \"'") for cell in _cells(line)]
        if len(cells) <= paths[0]:
            continue
        auth = _auth_cell(cells[auths[0]]) if auths and len(cells) > auths[0] else UNKNOWN
        path = cells[paths[0]]
        joined = _CALL.search(path)
        if joined is not None:
            yield joined[1], _clean(joined[2]), auth, "table", number
        elif path.startswith(("/", "http://", "https://")) and methods and len(cells) > methods[0]:
            for method in METHODS:
                if method in cells[methods[0]].upper().replace(",", " ").replace("/", " ").split():
                    yield method, _clean(path.split()[0]), auth, "table", number


def _cells(line: str) -> list[str]:
    return line.strip().strip("|").split("|")


def _auth_cell(cell: str) -> str:
    lowered = cell.strip().lower()
    return NONE if lowered in _NO else "required" if lowered in _YES else lowered[:80]


def _fence(segment: Segment) -> Iterator[_Row]:
    """Requests: ``METHOD /path HTTP/1.1`` with its headers, and curl commands."""
    text = segment.text
    for match in _CURL.finditer(text):
        arguments = match[1]
        url = _CURL_URL.search(arguments)
        if url is None:
            continue
        named = _CURL_METHOD.search(arguments)
        method = named[1] if named else "POST" if _CURL_BODY.search(arguments) else "GET"
        yield method, _clean(url.group()), _auth_of(arguments), "fence", text.count("\n", 0, match.start())
    if not segment.language or segment.language.split()[0].lower() in {"http", "text", "rest", "txt", "plaintext"}:
        for match in _CALL.finditer(text):
            following = text[match.end() : match.end() + 600].split("\n\n", 1)[0]
            yield match[1], _clean(match[2]), _auth_of(following), "fence", text.count("\n", 0, match.start())


def _prose(segment: Segment) -> Iterator[_Row]:
    text = segment.text
    for match in _CALL.finditer(text):
        start, end = text.rfind("\n", 0, match.start()) + 1, text.find("\n", match.end())
        line = text[start : len(text) if end < 0 else end]
        yield match[1], _clean(match[2]), _auth_of(line[:600]), "prose", text.count("\n", 0, match.start())


def _auth_of(text: str) -> str:
    if _NO_AUTH.search(text):
        return NONE
    named = _AUTH.search(text)
    return (named.group().strip().lower() or UNKNOWN) if named is not None else UNKNOWN


def _clean(path: str) -> str:
    """A path or URL without query, fragment and trailing punctuation."""
    return path.split("?", 1)[0].split("#", 1)[0].rstrip(".,;:*`")[:300] or "/"
