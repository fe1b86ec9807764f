"""Every reader of hostile bytes by name, as a function of bytes: what is fuzzed here by hypothesis and in ``tests/fuzz`` by atheris."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from packages_of_ours import package_of

from sigma_core.policy import load_policy
from sigma_core.sandbox.archives import members
from sigma_core.sandbox.byte_text import text_of
from sigma_core.sandbox.bytecode import read_bytecode
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.encodings import find_encoded
from sigma_core.sandbox.fragments import joined_pieces, labelled_parts, lone_fragments
from sigma_core.sandbox.hidden_markup import hidden_spans
from sigma_core.sandbox.html_reading import visible_words
from sigma_core.sandbox.image_texts import picture_texts
from sigma_core.sandbox.install_commands import install_commands
from sigma_core.sandbox.javascript import read_javascript
from sigma_core.sandbox.kinds import guess_text_kind, kind_by_magic
from sigma_core.sandbox.markdown import split_markdown
from sigma_core.sandbox.office_documents import OfficeDocument, add_part
from sigma_core.sandbox.other_code import read_other_code
from sigma_core.sandbox.pdf_documents import read_pdf
from sigma_core.sandbox.powershell import read_powershell
from sigma_core.sandbox.python import read_python
from sigma_core.sandbox.secrets import find_secrets
from sigma_core.sandbox.shell import read_shell
from sigma_core.sandbox.started_commands import servers, started_commands
from sigma_core.sandbox.unicode_forms import read_forms
from sigma_core.sandbox.vocabulary import urls_in
from sigma_core.sandbox.yaml_texts import texts_under

_STARTING = ("package.json", "binding.gyp", ".vscode/tasks.json", "devcontainer.json", ".envrc", "a.service", ".git/hooks/pre-commit", ".claude/settings.json", ".mcp.json", "Dockerfile", ".github/workflows/a.yml", "SKILL.md")  # fmt: skip
FILES = ("SKILL.md", "a.md", "a.py", "a.sh", "a.js", "a.ts", "a.ps1", "a.rb", "a.json", "a.yaml", "a.toml", "a.ipynb", "a.html", "a.svg", "a.txt", "a.pth", "a.pyc", "a.docx", "a.pdf", "a.png", "a.zip", "package-lock.json", "yarn.lock", "poetry.lock", "Cargo.lock", "pnpm-lock.yaml", "uv.lock", "requirements.txt", "pyproject.toml", "openapi.yaml", "openapi.json", *_STARTING[:-1])  # fmt: skip
"""A file name for every reader that goes by the name."""


def _text(read: Callable[[str], object]) -> Callable[[bytes], None]:
    def reader(data: bytes) -> None:
        found = read(data.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode())
        if hasattr(found, "__next__"):
            list(found)

    return reader


def _python(text: str) -> None:
    # What `ast.parse` refuses is the caller's to report.
    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        read_python(text)


def _started(text: str) -> None:
    for path in _STARTING:
        started_commands(path, text)


def _office(data: bytes) -> None:
    document = OfficeDocument()
    for name in ("word/document.xml", "word/_rels/document.xml.rels", "word/vbaProject.bin"):
        add_part(document, name, data)


def facts_of(name: str, data: bytes) -> None:
    """Facts of a package of one file. Raises AssertionError naming the analyser that raised."""
    document = derive_facts(package_of({name: data}), load_policy()).document
    raised = [
        incident
        for incident in document["coverage"]["incidents"]
        if incident["analyser"] in {"inspection", "judgement", "supply_chain"}
    ]
    assert not raised, (name, raised)


READERS: dict[str, Callable[[bytes], object]] = {
    "archives": lambda data: list(members(data)),
    "bytecode": lambda data: read_bytecode(b"\xa7\r\r\n" + bytes(12) + data),
    "byte_text": text_of,
    "kinds": kind_by_magic,
    "text_kinds": _text(guess_text_kind),
    "office": _office,
    "pdf": lambda data: read_pdf(b"%PDF-1.4\n" + data),
    "pictures": lambda data: [
        list(picture_texts(start + data)) for start in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a")
    ],
    "javascript": _text(read_javascript),
    "python": _text(_python),
    "shell": _text(read_shell),
    "powershell": _text(read_powershell),
    "other_code": _text(read_other_code),
    "markdown": _text(split_markdown),
    "html_words": _text(visible_words),
    "hidden_markup": _text(hidden_spans),
    "unicode": _text(read_forms),
    "encodings": _text(find_encoded),
    "joined_pieces": _text(joined_pieces),
    "labelled_parts": _text(labelled_parts),
    "lone_fragments": _text(lone_fragments),
    "secrets": _text(find_secrets),
    "install_commands": _text(install_commands),
    "started_commands": _text(_started),
    "servers": _text(servers),
    "yaml_texts": _text(lambda text: texts_under(text, {"run"})),
    "urls": _text(urls_in),
}
"""Readers by name. None may raise, write or reach out."""
