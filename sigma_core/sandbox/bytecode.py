"""Compiled Python (``.pyc`` of CPython 3.6 to 3.14): its names and text constants, read from the marshal format without making any object of it.

Format: CPython ``Python/marshal.c`` (version 4). ``marshal.loads`` is not safe on hostile data; here every length is checked against what is left, objects are counted, nesting is bounded, and a
reference is followed only to text. Code objects are walked field by field in the order of their version.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.readings import Finding, Reading
from sigma_core.sandbox.vocabulary import HostClass, agent_file, classify_host, secret_file, secret_variable, urls_in

_MAX_OBJECTS = 100_000
_MAX_DEPTH = 60
_MAX_TEXTS = 4_000
_FLAG_REF = 0x80
# First magic number of each release (Lib/importlib/_bootstrap_external.py): which fields a code object has.
_HEADERS = ((3379, 12), (3392, 16))
_POSITIONAL_ONLY, _NEW_CODE = 3411, 3466
_LOWEST, _HIGHEST = 3360, 3700
_SENDERS = frozenset(
    "urlopen Request post put request get urlretrieve sendall send connect HTTPSConnection HTTPConnection".split()
)
_WHOLE = frozenset("items copy dict dumps values".split())
_PERSONAL = frozenset("pyperclip ImageGrab screenshot keyboard pynput".split())
_WRITERS = frozenset("write write_text writelines".split())
_EXECUTORS = frozenset("exec eval system Popen popen check_output call execv spawn loads".split())
_HONEST_HOSTS = frozenset({HostClass.LOCAL, HostClass.KNOWN, HostClass.RESERVED})
_DIFFERING_PPM = 200_000
_MIN_NAMES = 4


class _Unreadable(Exception):
    """The bytes are no marshal data of a known version."""


@dataclass
class CodeTexts:
    """``names`` are identifiers, ``texts`` string and bytes constants, each in order of appearance."""

    names: dict[str, None] = field(default_factory=dict)
    texts: dict[str, None] = field(default_factory=dict)

    def as_text(self) -> str:
        """One text: the identifiers in a line, then each constant."""
        return f"names: {' '.join(self.names)}\n\n" + "\n\n".join(self.texts) + "\n"


class _Reader:
    def __init__(self, data: bytes, at: int, magic: int) -> None:
        self.data, self.at, self.magic = data, at, magic
        self.objects = 0
        self.references: list[str | None] = []
        self.found = CodeTexts()

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise _Unreadable
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self) -> int:
        return int.from_bytes(self.take(4), "little", signed=True)

    def value(self, depth: int, role: str = "constant") -> str | None:
        """Read one object; its text where it is one. ``role`` says what texts in it are: a ``constant``, a ``name`` or of no interest."""
        self.objects += 1
        if self.objects > _MAX_OBJECTS or depth > _MAX_DEPTH:
            raise _Unreadable
        code = self.take(1)[0]
        kind, slot = chr(code & ~_FLAG_REF), len(self.references)
        if code & _FLAG_REF:
            self.references.append(None)
        text = self._body(kind, depth, role)
        if code & _FLAG_REF:
            self.references[slot] = text
        if text is not None:
            self._keep(text, role)
        return text

    def _keep(self, text: str, role: str) -> None:
        if len(self.found.names) + len(self.found.texts) >= _MAX_TEXTS or not text:
            return
        if role == "name":
            self.found.names[text] = None
        elif role == "constant":
            self.found.texts[text] = None

    def _body(self, kind: str, depth: int, role: str) -> str | None:
        if kind in "0NFTS.":
            return None
        if kind == "r":
            index = self.number()
            return self.references[index] if 0 <= index < len(self.references) else None
        if kind in "i":
            self.take(4)
        elif kind in "Ig":
            self.take(8)
        elif kind == "y":
            self.take(16)
        elif kind in "fx":
            for _ in range(1 if kind == "f" else 2):
                self.take(self.take(1)[0])
        elif kind == "l":
            self.take(2 * abs(self.number()))
        elif kind in "zZ":
            return self.take(self.take(1)[0]).decode("latin-1")
        elif kind in "aA":
            return self.take(self.number()).decode("latin-1")
        elif kind in "ut":
            return self.take(self.number()).decode("utf-8", "replace")
        elif kind == "s":
            raw = self.take(self.number())
            return raw.decode("latin-1") if role == "constant" else None
        elif kind in "([<>)":
            count = self.take(1)[0] if kind == ")" else self.number()
            for _ in range(self._count(count)):
                self.value(depth + 1, role)
        elif kind == "{":
            while self.at < len(self.data) and self.data[self.at] & ~_FLAG_REF != ord("0"):
                self.value(depth + 1, role)
            self.take(1)
        elif kind == ":":
            for _ in range(3):
                self.value(depth + 1, "none")
        elif kind == "c":
            self._code(depth)
        else:
            raise _Unreadable
        return None

    def _count(self, count: int) -> int:
        if count < 0 or count > len(self.data) - self.at:
            raise _Unreadable
        return count

    def _code(self, depth: int) -> None:
        new = self.magic >= _NEW_CODE
        self.take(4 * ((5 if new else 6) if self.magic >= _POSITIONAL_ONLY else 5))
        roles = ("none", "constant", "name", "name", "none", "none", "name", "name") if new else ("none", "constant", "name", "name", "name", "name", "none", "name")  # fmt: skip
        for role in roles:
            self.value(depth + 1, role)
        self.take(4)
        for _ in range(2 if new else 1):
            self.value(depth + 1, "none")


def read_bytecode(data: bytes) -> CodeTexts | None:
    """Names and constants of a ``.pyc``, or None where it is not one of a known version or is damaged before anything was found."""
    if len(data) < 17 or data[2:4] != b"\r\n":
        return None
    (magic,) = struct.unpack_from("<H", data)
    if not _LOWEST <= magic <= _HIGHEST:
        return None
    reader = _Reader(data, 12 if magic < _HEADERS[1][0] else 16, magic)
    with contextlib.suppress(_Unreadable):
        reader.value(0)
    return reader.found if reader.found.names or reader.found.texts else None


def bytecode_without_its_source(readings: Sequence[Reading]) -> list[Finding]:
    """Compiled Python that has no source in the package, or whose names its source does not hold."""
    sources = {reading.path: reading.text for reading in readings if reading.kind is FileKind.PYTHON}
    found = []
    for reading in readings:
        if reading.kind is not FileKind.BYTECODE:
            continue
        folder, _, name = reading.path.rpartition("/")
        parent = folder.removesuffix("__pycache__").rstrip("/")
        stem = name.split(".", 1)[0]
        source = next(
            (
                sources[path]
                for path in (f"{parent}/{stem}.py".lstrip("/"), f"{folder}/{stem}.py".lstrip("/"))
                if path in sources
            ),
            None,
        )
        whole = Location(reading.path, 1, 1, 0, 0)
        if source is None:
            found.append(Finding("SIGMA-DOC-006", "no source beside it", whole, "", "use", False))
            threat = _threat(reading.text)
            if threat:
                found.append(Finding("SIGMA-DOC-008", threat, whole, "", "use", False))
            continue
        names = [word for word in reading.text.split("\n", 1)[0].split()[1:] if word.isidentifier()]
        missing = [word for word in names if word not in source]
        if len(names) >= _MIN_NAMES and len(missing) * 1_000_000 > _DIFFERING_PPM * len(names):
            found.append(
                Finding("SIGMA-DOC-006", f"not in the source: {', '.join(missing[:6])}", whole, "", "use", False)
            )
    return found


def _threat(text: str) -> str:
    """Both halves of a known attack among the names and constants of code that nobody can read, or empty."""
    first, _, constants = text.partition("\n")
    names = frozenset(first.split())
    hosts = [host for _, _, _, host in urls_in(constants) if classify_host(host) not in _HONEST_HOSTS]
    sends = bool(names & _SENDERS) and bool(hosts)
    secret = secret_file(constants) or ("environment" if "environ" in names and names & _WHOLE else "")
    secret = secret or next((word for word in constants.split() if word.isupper() and secret_variable(word)), "")
    secret = secret or ("clipboard" if names & _PERSONAL else "")
    if sends and secret:
        return f"{secret} / {hosts[0]}"
    if names & _EXECUTORS and sends:
        return f"run / {hosts[0]}"
    if agent_file(constants) and names & _WRITERS:
        return agent_file(constants)
    if {"socket", "connect"} <= names and (names & {"dup2", "pty"} or "/bin/sh" in constants):
        return "shell / socket"
    return ""
