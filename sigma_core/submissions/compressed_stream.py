"""The bytes of a tar, decompressed no further than they are asked for."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Protocol

from sigma_core.submissions.refusal import Refusal

GZIP_MAGIC = b"\x1f\x8b"
BZIP2_MAGIC = b"BZh"
XZ_MAGIC = b"\xfd7zXZ\x00"

MAX_XZ_MEMORY_BYTES = 68 * 2**20
"""Enough for ``xz -9`` (64 MiB of dictionary), whose memory is only touched as far as output goes."""

_INPUT_STEP = 16_384


class _Decompressor(Protocol):
    """The shape that ``bz2`` and ``lzma`` decompressors share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """``zlib`` in the shape of the other two. One gzip member; zlib itself checks its CRC and length."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        out = self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)
        # Output may wait inside zlib although all input is taken; a full answer says that more may come.
        self.needs_input = not self._inflate.unconsumed_tail and len(out) < max_length
        return out


class PlainStream:
    """An uncompressed tar: `read` hands out slices."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer only at the end."""
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def finish(self) -> None:
        """Nothing to check: what a plain tar holds after its end is read as part of it."""


class CompressedStream:
    """A tar inside one gzip member, bzip2 stream or xz stream.

    Raises Refusal for damage, for more memory than an xz stream may ask for, and for bytes after the end.
    """

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._taken = 0
        self._decompressor: _Decompressor
        if data.startswith(GZIP_MAGIC):
            self._decompressor = _Gzip()
        elif data.startswith(BZIP2_MAGIC):
            self._decompressor = bz2.BZ2Decompressor()
        else:
            self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY_BYTES)

    def read(self, size: int) -> bytes:
        """The next ``size`` decompressed bytes, fewer only at the end of the compressed stream."""
        pieces = []
        missing = size
        while missing and not self._decompressor.eof:
            step = b""
            if self._decompressor.needs_input:
                step = bytes(self._data[self._taken : self._taken + _INPUT_STEP])
                self._taken += len(step)
                if not step:
                    raise Refusal("BROKEN_ARCHIVE", found="compressed stream is cut off")
            pieces.append(self._decompress(step, missing))
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def finish(self) -> None:
        """Refuse unless the archive ends where the compressed stream does. Call it after `read` came up short."""
        extra = len(self._decompressor.unused_data) + len(self._data) - self._taken
        if extra:
            raise Refusal("HOSTILE_BYTES_AFTER", found=f"{extra} bytes after the compressed stream")

    def _decompress(self, step: bytes, size: int) -> bytes:
        try:
            return self._decompressor.decompress(step, size)
        except lzma.LZMAError as error:
            if "memory" in str(error).lower():
                raise Refusal("LIMIT_DECOMPRESSION_MEMORY", limit=MAX_XZ_MEMORY_BYTES) from None
            raise Refusal("BROKEN_ARCHIVE", found=str(error)) from None
        except (OSError, zlib.error, EOFError) as error:
            raise Refusal("BROKEN_ARCHIVE", found=str(error)) from None


def tar_stream(data: bytes) -> PlainStream | CompressedStream:
    """The bytes of a plain or compressed tar."""
    compressed = data.startswith((GZIP_MAGIC, BZIP2_MAGIC, XZ_MAGIC))
    return CompressedStream(data) if compressed else PlainStream(data)
