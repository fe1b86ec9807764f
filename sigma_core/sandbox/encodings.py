"""Encoded text inside text: candidates for base64, base32, hex, percent, escape, character-code, rot13 and reversed forms, decoded within bounds.

Decoding never executes anything; what comes out is a text to be read again or nothing.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import urllib.parse
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import re2

MAX_DECODED = 262_144
"""Bytes that one encoded piece may unfold to; what is beyond is not read."""

_CANDIDATE = re2.compile(
    r"(?P<base64>(?:[A-Za-z0-9+/_-]{20,}(?:[\r\n]+[ \t]*[A-Za-z0-9+/_-]{20,})*(?:[\r\n]+[ \t]*[A-Za-z0-9+/_-]{4,})?={0,2}))"
    r"|(?P<escapes>(?:\\x[0-9a-fA-F]{2}){4,}|(?:\\u00[0-9a-fA-F]{2}){4,}|(?:\\[0-3][0-7]{2}){4,})"
    r"|(?P<percent>(?:[A-Za-z0-9._~/-]{0,3}%[0-9a-fA-F]{2}){6,}[A-Za-z0-9._~/-]{0,64})"
    r"|(?P<entities>(?:&#x?[0-9a-fA-F]{2,4};){6,})"
    r"|(?P<codes>(?:\b(?:0x[0-9a-fA-F]{2}|[0-9]{2,3})\s{0,2},\s{0,2}){7,}(?:0x[0-9a-fA-F]{2}|[0-9]{2,3}))"
    r"|(?P<pairs>(?:\b[0-9a-fA-F]{2}[ :]){11,}[0-9a-fA-F]{2}\b)"
)
_HEX = re2.compile(r"^(?:0x)?(?:[0-9a-fA-F]{2}){10,}$")
_BASE32 = re2.compile(r"^[A-Z2-7]{24,}={0,6}$")
_SPACE = {ord(c): None for c in "\r\n\t "}
_URLSAFE = str.maketrans("-_", "+/")
_ROT13 = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm"
)
_WORDS = re2.compile(
    r"(?i)(?:https?://|\b(?:curl|wget|bash|eval|exec|echo|import|subprocess|require|ignore|instructions?|password|secret|token|system|prompt|user|send|upload|"
    r"nohup|chmod|base64|powershell|fetch|credentials?|the|and|from|python3?|sh -c|/bin/|/etc/)\b)"
)
# Words whose rot13 or mirror image gives a disguised sentence away: one rare word, or several small ones, is improbable in honest text.
_ROT13_SIGN = re2.compile(
    r"(?i)\b(?:phey|jtrg|onfu|rkrp|riny|vzcbeg|fhocebprff|vtaber|vafgehpgvbaf?|cebzcg|cnffjbeq|perqragvnyf?|vafgnyy|flfgrz|frperg|hcybnq|hggcf?|uggcf?|jvgubhg|nffvfgnag|frphevgl|cyrnfr|nsgre|orsber|hfre)\b|"
    r"(?:\b(?:gur|naq|lbh|lbhe|guvf|gung|jvgu|nyy|sebz|sbe)\b[^\n]{0,80}){3}"
)
_MIRROR_SIGN = re2.compile(
    r"(?i)(?:\b(?:lruc|tegw|hsab|snoitcurtsni|erongi|metsys|drowssap|terces|slaitnederc|daolpu|tnatsissa|ytiruces|tuohtiw|resu eht)\b|//:s?ptth|(?:\b(?:eht|dna|uoy|ruoy|siht|htiw|lla|morf|rof)\b[^\n]{0,80}){3})"
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded piece: which characters of the text, how, and what came out (bytes, not yet judged to be text)."""

    start: int
    end: int
    step: str
    data: bytes


def bounded_decompress(data: bytes) -> tuple[str, bytes] | None:
    """``(name, bytes)`` of a gzip, zlib, bzip2 or xz stream, at most `MAX_DECODED` bytes of it, or None."""
    try:
        if data[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
                return "gzip", stream.read(MAX_DECODED)
        if data[:1] == b"\x78" and len(data) > 8 and (data[0] * 256 + data[1]) % 31 == 0:
            return "zlib", zlib.decompressobj().decompress(data, MAX_DECODED)
        if data[:3] == b"BZh":
            return "bzip2", bz2.BZ2Decompressor().decompress(data, MAX_DECODED)
        if data[:6] == b"\xfd7zXZ\x00":
            return "xz", lzma.LZMADecompressor(memlimit=33_554_432).decompress(data, MAX_DECODED)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, MemoryError):
        return None
    return None


def readable(data: bytes) -> str | None:
    """``data`` as text a person or program could follow, or None: mostly printable ASCII, or UTF-8/UTF-16 text."""
    if len(data) < 4:
        return None
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"} or (len(data) >= 8 and data[1:8:2] == b"\x00" * 4):
        try:
            text = data.decode("utf-16-le" if data[1:2] == b"\x00" else "utf-16")
        except UnicodeDecodeError:
            return None
        return text.lstrip("\ufeff") if text.isprintable() or "\n" in text else None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    sample = text[:2_000]
    odd = sum(1 for character in sample if not character.isprintable() and character not in "\r\n\t\x1b")
    ascii_share = sum(1 for character in sample if character.isascii())
    return text if odd * 20 <= len(sample) and ascii_share * 10 >= len(sample) * 7 else None


def speaks(text: str) -> bool:
    """Whether decoded text says anything: words, a command, a URL, rather than noise that happens to be printable."""
    return bool(_WORDS.search(text[:4_000]))


def decode_base64(token: str) -> bytes | None:
    """Bytes of a base64 or base64url token, padding optional, or None."""
    token = token.translate(_SPACE).translate(_URLSAFE).rstrip("=")
    if len(token) % 4 == 1:
        token = token[:-1]
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _decode_escapes(piece: str) -> bytes:
    return codecs.decode(piece.encode(), "unicode_escape").encode("latin-1", "ignore")


def _decode_entities(piece: str) -> bytes:
    codes = (part[2:] for part in piece.split(";") if part)
    return bytes(
        (int(code[1:], 16) if code[:1] in "xX" else int(code, 10 if code.isdigit() else 16)) & 0xFF for code in codes
    )


def _decode_codes(piece: str) -> bytes | None:
    values = [int(part.strip(), 0) if part.strip().startswith("0x") else int(part) for part in piece.split(",")]
    return bytes(values) if all(9 <= value < 127 for value in values) else None


def _token_forms(token: str) -> Iterator[tuple[str, bytes]]:
    stripped = token.translate(_SPACE)
    if _HEX.search(stripped):
        digits = stripped[2:] if stripped.startswith("0x") else stripped
        yield "hex", bytes.fromhex(digits)
        return
    if _BASE32.search(stripped):
        with contextlib.suppress(binascii.Error, ValueError):
            yield "base32", base64.b32decode(stripped.rstrip("=") + "=" * (-len(stripped.rstrip("=")) % 8))
    data = decode_base64(token)
    if data is not None:
        yield "base64", data
    if stripped.startswith("="):
        return
    mirrored = decode_base64(stripped[::-1].lstrip("="))
    if mirrored is not None:
        yield "reversed-base64", mirrored


def _unfold(step: str, data: bytes) -> tuple[str, bytes]:
    packed = bounded_decompress(data)
    return (f"{step}/{packed[0]}", packed[1]) if packed else (step, data)


def find_encoded(text: str) -> Iterator[Decoded]:
    """Every encoded piece of ``text`` whose decoding is readable and says something. One linear scan."""
    for match in _CANDIDATE.finditer(text):
        group = match.lastgroup or ""
        piece = match.group()
        start, end = match.span()
        forms: list[tuple[str, bytes]] = []
        if group == "base64":
            forms = list(_token_forms(piece))
        elif group == "escapes":
            forms = [("escapes", _decode_escapes(piece))]
        elif group == "percent":
            forms = [("percent", urllib.parse.unquote_to_bytes(piece))]
        elif group == "entities":
            forms = [("entities", _decode_entities(piece))]
        elif group == "pairs":
            forms = [("hex", bytes.fromhex(piece.replace(":", " ")))]
        elif group == "codes":
            codes = _decode_codes(piece)
            forms = [("character-codes", codes)] if codes else []
        for step, data in forms:
            unfolded_step, unfolded = _unfold(step, data[:MAX_DECODED])
            decoded = readable(unfolded)
            if decoded is not None and speaks(decoded):
                yield Decoded(start, end, unfolded_step, unfolded)
                break


def rot13_text(text: str) -> str | None:
    """``text`` rotated by 13 where it carries words that only make sense so, else None."""
    return text.translate(_ROT13) if _ROT13_SIGN.search(text) else None


def mirrored_lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Lines that read backwards, as ``(start, end, forwards)``."""
    end = -1
    for match in _MIRROR_SIGN.finditer(text):
        if match.start() < end:
            continue
        start = text.rfind("\n", 0, match.start()) + 1
        end = text.find("\n", match.end())
        end = len(text) if end < 0 else end
        yield start, end, text[start:end][::-1]


_FRAGMENT = re2.compile(r"(?m)^[ \t]*(?:[\w.-]+\s*[:=]\s*)?['\"`]?([A-Za-z0-9+/_-]{8,}={0,2})['\"`]?[,;]?[ \t]*$")


def lone_fragments(text: str) -> Iterator[tuple[int, int, str]]:
    """Base64-like tokens that stand alone on a line or as the whole value of a name: pieces that other files may complete."""
    for match in _FRAGMENT.finditer(text[:20_000]):
        token = match.group(1)
        if any(character.isupper() for character in token) and any(character.islower() for character in token):
            yield match.start(1), match.end(1), token
