"""Bytes that are no text: archives and documents opened member by member, pictures for the text they carry, compiled Python for its names, programs named."""

from __future__ import annotations

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.archives import Member, members
from sigma_core.sandbox.bytecode import read_bytecode
from sigma_core.sandbox.encodings import readable, speaks
from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.image_texts import picture_texts
from sigma_core.sandbox.kinds import guess_text_kind, kind_by_magic
from sigma_core.sandbox.layers import FileKind, Layer
from sigma_core.sandbox.office_documents import OfficeDocument, add_part, is_office_part
from sigma_core.sandbox.pdf_documents import read_pdf
from sigma_core.sandbox.scan import FileScan

_ASSETS = frozenset({FileKind.IMAGE, FileKind.FONT, FileKind.MEDIA})
_EMPTY_MEMBER_WORK = 64
"""Work that a member costs whatever its size: its record is read, its name kept."""
_MIN_TAIL = 16


class _Opening:
    """One container being read: where it stands, and how its layers are named."""

    def __init__(self, scan: FileScan, layer_path: str, whole: Location, depth: int) -> None:
        self.scan = scan
        self.layer_path = layer_path
        self.whole = whole
        self.depth = depth

    def path(self, step: str) -> str:
        return f"{self.layer_path}/{step}".strip("/")

    def text(self, step: str, text: str, kind: FileKind, *, hidden: bool) -> None:
        """Read a text that stands in the container, within the depth."""
        if not text.strip() or not self.scan.first_time(kind, text):
            return
        if self.depth >= self.scan.budgets.max_layer_depth:
            self.scan.bound("max_layer_depth", self.whole)
            return
        layer = Layer(self.whole.file, text, kind, self.path(step), self.whole, hidden, self.depth + 1)
        self.scan.read_layer(layer, True)

    def find(self, rule_id: str, subject: str) -> None:
        self.scan.find(rule_id, subject, self.whole)


def read_container(
    scan: FileScan, kind: FileKind, data: bytes, name: str, layer_path: str, whole: Location, depth: int
) -> None:
    """Read ``data`` of ``kind``, which its bytes or its name prove; ``whole`` is where it stands in the file."""
    at = _Opening(scan, layer_path, whole, depth)
    if kind is FileKind.EXECUTABLE:
        at.find("SIGMA-SUPPLY-005", name)
    elif kind is FileKind.BYTECODE or name.endswith(".pyc"):
        _read_bytecode(at, data, name)
    elif kind is FileKind.ARCHIVE:
        _read_archive(at, data)
    elif kind is FileKind.DOCUMENT and data.startswith(b"%PDF-"):
        _read_pdf(at, data)
    elif kind is FileKind.IMAGE:
        _read_picture(at, data)
    if kind in _ASSETS or kind is FileKind.DOCUMENT:
        _read_polyglot(at, data)


def _read_bytecode(at: _Opening, data: bytes, name: str) -> None:
    at.find("SIGMA-SUPPLY-006", name)
    found = read_bytecode(data)
    text = found.as_text() if found else ""
    if at.depth == 0:
        at.scan.reading.kind = FileKind.BYTECODE
        at.scan.reading.text = text
    at.text("pyc", text, FileKind.TEXT, hidden=False)


def _read_archive(at: _Opening, data: bytes) -> None:
    if at.depth >= at.scan.budgets.max_layer_depth:
        at.scan.bound("max_layer_depth", at.whole)
        return
    stream = not data.startswith(b"PK") and data[257:262] != b"ustar"
    office: OfficeDocument | None = None
    seen: set[str] = set()
    for member in members(data):
        at.scan.meter.spend(_EMPTY_MEMBER_WORK)
        if member.problem:
            _unread(at, member)
            continue
        if member.name in seen:
            at.find("SIGMA-DOC-005", f"two members {member.name[:80]}")
        seen.add(member.name)
        if member.cut and kind_by_magic(member.content) not in _ASSETS:
            at.scan.bound("decoded bytes", at.whole)
        if not stream and (office is not None or is_office_part(member.name)):
            office = office or OfficeDocument()
            at.scan.meter.spend(len(member.content))
            if add_part(office, member.name, member.content):
                continue
        form = "zip" if data.startswith(b"PK") else "tar"
        step = member.name if stream else f"{form}!{member.name}"
        at.scan.read_bytes(member.content, at.path(step), at.whole, at.depth + 1)
    if office is not None:
        _report_office(at, office)


def _unread(at: _Opening, member: Member) -> None:
    if member.problem == "too many members":
        at.scan.bound("archive members", at.whole)
    else:
        partial = "encrypted_member" if member.problem == "encrypted member" else "archive_not_opened"
        at.scan.incomplete("archive", member.problem, partial)


def _report_office(at: _Opening, office: OfficeDocument) -> None:
    for name in office.macros[:8]:
        at.find("SIGMA-DOC-001", name[:120])
    for target in office.loaded[:8]:
        at.find("SIGMA-DOC-002", target[:160])
    for field in sorted(set(office.fields))[:8]:
        at.find("SIGMA-DOC-002", field)
    for _, target in office.links[:200]:
        _note_url(at, target)
    at.text("text", "\n\n".join(office.words), FileKind.TEXT, hidden=False)
    at.text("hidden-text", "\n\n".join(office.hidden), FileKind.TEXT, hidden=True)


def _note_url(at: _Opening, target: str) -> None:
    for _, _, url, host in vocabulary.urls_in(target[:2_000]):
        at.scan.reading.urls.append((url, host, at.whole, False))


def _read_pdf(at: _Opening, data: bytes) -> None:
    document = read_pdf(data)
    if document.partial:
        at.scan.incomplete("pdf", document.partial, "pdf_not_read")
    if document.running:
        at.find("SIGMA-DOC-007", ", ".join(document.running))
    for uri in list(document.uris)[:200]:
        _note_url(at, uri)
    for script in document.scripts:
        at.text("javascript", script, FileKind.JAVASCRIPT, hidden=False)
    at.text("text", document.words, FileKind.TEXT, hidden=False)


def _read_picture(at: _Opening, data: bytes) -> None:
    for step, raw in picture_texts(data):
        text = readable(raw) if len(raw) >= _MIN_TAIL else None
        if text is not None and speaks(text):
            at.text(step, text, guess_text_kind(text), hidden=True)
        elif step == "tail" and kind_by_magic(raw) in {FileKind.ARCHIVE, FileKind.EXECUTABLE}:
            at.find("SIGMA-DOC-005", "data after the end of a picture")
            at.scan.read_bytes(raw, at.path("tail"), at.whole, at.depth + 1)


def _read_polyglot(at: _Opening, data: bytes) -> None:
    """A file that is a picture or a document from its beginning and a zip from its end."""
    if data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557)) > 0 and b"PK\x01\x02" in data and b"PK\x03\x04" in data:
        at.find("SIGMA-DOC-005", "a zip behind another format")
        start = data.find(b"PK\x03\x04")
        if not at.layer_path.endswith("tail"):
            at.scan.read_bytes(data[start:], at.path("polyglot"), at.whole, at.depth + 1)
