"""Encoded text inside text: every usual way to write bytes as characters, found by one linear scan and decoded within bounds.

Decoding never executes anything; what comes out is bytes to be read again or nothing. Forms: base64 and base64url (wrapped, spaced, quoted in pieces, padded in the middle, reversed), base32,
base58, base85 and Ascii85, hexadecimal and binary digits, character codes, percent and quoted-printable escapes, HTML entities, string escapes of Python, JavaScript, JSON and C, UTF-7; each
also over gzip, zlib, bzip2 or xz, and over a XOR with one byte or with a key that the same text holds.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import contextlib
import gzip
import html
import io
import lzma
import quopri
import unicodedata
import urllib.parse
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import re2

MAX_DECODED = 262_144
"""Bytes that one encoded piece may unfold to; what is beyond is not read."""
_MIN_XOR, _MAX_XOR = 16, 4_096
_XOR_TABLES = tuple(bytes(value ^ key for value in range(256)) for key in range(256))
_SHOWN = bytes(byte for byte in range(128) if chr(byte).isprintable()) + b"\r\n\t\x1b"
_MAX_KEYS = 16
_SAMPLE = 200
_RULER_CHARACTERS = 4
_DIGITS = frozenset("0123456789")
_MAX_BASE58 = 1_024
_MAX_PREFIX, _MAX_PREFIXES = 40, 3
"""Characters at the beginning of a token in which names of a path before it are looked for, and how many of them are tried."""
_PLAIN_BEFORE = 24
_MAX_WORDS_BEFORE = 4
"""Words of four letters that may stand before groups of four and look like one of them."""
_LZMA_MEMORY = 33_554_432

_CANDIDATE = re2.compile(
    r"(?P<escapes>(?:\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}|U[0-9a-fA-F]{8}|[0-3]?[0-7]{2}|N\{[A-Z][A-Z -]{2,60}\})[^\\\n'\"]{0,3}){4,})"
    r"|(?P<utf7>\+[A-Za-z0-9/]{16,}-)"
    r"|(?P<binary>(?:\b(?:0b)?[01]{8}\b[ ,_|\r\n-]{0,3}){6,}|\b(?:[01]{8}){6,}\b)"
    r"|(?P<dump>(?:(?:^|\n)[0-9a-fA-F]{4,8}:?[ \t]+(?:[0-9a-fA-F]{2,4} ){2,16}[^\n]{0,24}){1,}|(?:\b[0-9a-fA-F]{4} ){5,}[0-9a-fA-F]{2,4}\b)"
    r"|(?P<pairs>(?:\b(?:0x|\\x|x)?[0-9a-fA-F]{2}[ :,;|_-]{1,2}){9,}(?:0x)?[0-9a-fA-F]{2}\b)"
    r"|(?P<codes>(?:\b[0-9]{2,3}[ ,;|-]{1,3}){7,}[0-9]{2,3}\b)"
    r"|(?P<chunks>(?:[A-Za-z0-9+/_-]{6,}={1,2}){2,})"
    r"|(?P<spaced>(?:[A-Za-z0-9+/]{4} ){5,}[A-Za-z0-9+/]{1,4}={0,2}|(?:[A-Za-z0-9+/]{8} ){3,}[A-Za-z0-9+/]{1,8}={0,2}|(?:[A-Za-z0-9+/]{10,76} ){2,}[A-Za-z0-9+/]{1,76}={0,2})"
    r"|(?P<base64>(?:[A-Za-z0-9+/_-]{20,}(?:[\r\n]+[ \t]*[A-Za-z0-9+/_-]{20,})*(?:[\r\n]+[ \t]*[A-Za-z0-9+/_-]{4,})?={0,2}))"
    r"|(?P<percent>(?:[A-Za-z0-9._~/-]{0,12}%[0-9a-fA-F]{2}){5,}[A-Za-z0-9._~/-]{0,64})"
    r"|(?P<entities>(?:[A-Za-z0-9 ./:-]{0,4}&(?:#x?[0-9a-fA-F]{2,7}|[a-zA-Z]{2,8});){6,}[A-Za-z0-9 ./:-]{0,16})"
    r"|(?P<printable>(?:=(?:[0-9A-F]{2}|\r?\n)[^=\r\n]{0,24}){6,})"
    r"|(?P<ascii85><~[!-u\sz]{16,}~>)"
)
_GROUPS = ("", *sorted(_CANDIDATE.groupindex, key=_CANDIDATE.groupindex.__getitem__))
_SYMBOLS = re2.compile(r"(?:^|[\s\"'`(=,])([0-9A-Za-z!#$%&()*+\-;<=>?@^_`{|}~]{24,})(?:$|[\s\"'`),])")
_ASCII85 = re2.compile(r"[\"'`]((?:[!#-&(-\[\]-_a-uz]|\\.){24,})[\"'`]")
_HEX = re2.compile(r"^(?:0x)?(?:[0-9a-fA-F]{2}){10,}$")
_BASE32 = re2.compile(r"^(?:[A-Z2-7]{24,}|[a-z2-7]{24,})={0,6}$")
_BASE58 = re2.compile(r"^[1-9A-HJ-NP-Za-km-z]{24,}$")
_HEX_RUN = re2.compile(r"[0-9a-fA-F]{2,}")
_DUMP_LINE = re2.compile(r"(?m)^[0-9a-fA-F]{4,8}:?[ \t]+((?:[0-9a-fA-F]{2,4} ){2,16})")
_NUMBER = re2.compile(r"[0-9]{2,3}")
_PADDED = re2.compile(r"[A-Za-z0-9+/_-]+={1,2}")
_ESCAPE = re2.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|U([0-9a-fA-F]{8})|([0-3]?[0-7]{2})|N\{([A-Z][A-Z -]{2,60})\})"
)
_QUOTED = re2.compile(r"[\"'`]([^\"'`\s]{1,32})[\"'`]")
_SPACE = {ord(c): None for c in "\r\n\t "}
_URLSAFE = str.maketrans("-_", "+/")
_BASE58_DIGITS = {c: at for at, c in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_WORDS = re2.compile(
    r"(?i)(?:https?://|\b(?:curl|wget|bash|eval|exec|echo|import|subprocess|require|ignore|instructions?|password|secret|token|system|prompt|user|send|upload|"
    r"nohup|chmod|base64|powershell|fetch|credentials?|the|and|from|python3?|sh -c|/bin/|/etc/)\b|\.ssh/|child_process|process\.env|function ?\(|\b(?:rm|dig|nc|cat|ssh|tar|cp|mv|sudo|crontab|printf|export|sleep|xargs) [-~./$\"'\w])"
)
_PACKED = (b"PK\x03\x04", b"\x7fELF", b"MZ\x90\x00", b"7z\xbc\xaf\x27\x1c", b"%PDF-")
"""First bytes of what is worth opening or naming where it is no text."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded piece: which characters of the text, how, and what came out (bytes; `readable` says whether they are text)."""

    start: int
    end: int
    step: str
    data: bytes


def bounded_decompress(data: bytes) -> tuple[str, bytes] | None:
    """``(name, bytes)`` of a gzip, zlib, bzip2, xz or lzma stream, at most `MAX_DECODED` bytes of it, or None."""
    try:
        if data[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
                return "gzip", stream.read(MAX_DECODED)
        if data[:1] == b"\x78" and len(data) > 8 and (data[0] * 256 + data[1]) % 31 == 0:
            return "zlib", zlib.decompressobj().decompress(data, MAX_DECODED)
        if data[:3] == b"BZh":
            return "bzip2", bz2.BZ2Decompressor().decompress(data, MAX_DECODED)
        if data[:6] == b"\xfd7zXZ\x00":
            return "xz", lzma.LZMADecompressor(memlimit=_LZMA_MEMORY).decompress(data, MAX_DECODED)
        if data[:3] == b"]\x00\x00" and len(data) > 13:
            return "lzma", lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY).decompress(data, MAX_DECODED)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, MemoryError):
        return None
    return None


def readable(data: bytes) -> str | None:
    """``data`` as text a person or program could follow, or None: mostly printable ASCII, or UTF-8/UTF-16 text."""
    if len(data) < 4:
        return None
    little = len(data) >= 8 and data[1:8:2] == b"\x00" * 4
    big = len(data) >= 8 and data[0:8:2] == b"\x00" * 4
    if little or big or data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        try:
            text = data.decode("utf-16-be" if big else "utf-16-le" if little else "utf-16")
        except UnicodeDecodeError:
            return None
        return text.lstrip("\ufeff") if text.isprintable() or "\n" in text else None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    sample = text[:2_000]
    if sample.isascii() and sample.isprintable():
        return text
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


def unescape(piece: str) -> str:
    r"""``piece`` with the string escapes of Python, JavaScript, JSON and C (``\x63 \u0063 \u{63} \U00000063 \143 \N{...}``) written out."""
    out, last = [], 0
    for match in _ESCAPE.finditer(piece):
        two, four, braced, eight, octal, name = match.groups()
        try:
            code = (
                ord(unicodedata.lookup(name))
                if name
                else int(octal or two or four or braced or eight, 8 if octal else 16)
            )
            character = chr(code)
        except (KeyError, ValueError, OverflowError):
            character = match.group()
        out += [piece[last : match.start()], character]
        last = match.end()
    return "".join([*out, piece[last:]])


def _decode_escapes(piece: str) -> bytes:
    text = unescape(piece)
    try:
        # Bytes written one by one are UTF-8; characters above them stand for themselves.
        return text.encode("latin-1").decode("utf-8").encode()
    except (UnicodeEncodeError, UnicodeDecodeError):
        return text.encode("utf-8", "surrogatepass")


def _decode_codes(piece: str) -> Iterator[tuple[str, bytes]]:
    numbers = _NUMBER.findall(piece)
    values = [int(number) for number in numbers]
    if all(value < 256 for value in values):
        yield "character-codes", bytes(values)
    if all("8" not in number and "9" not in number for number in numbers):
        octal = [int(number, 8) for number in numbers]
        if all(value < 128 for value in octal):
            yield "octal", bytes(octal)


def _from_hex(digits: str) -> bytes:
    return bytes.fromhex(digits[: len(digits) - len(digits) % 2])


def _decode_base58(token: str) -> bytes:
    value = 0
    for character in token:
        value = value * 58 + _BASE58_DIGITS[character]
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _token_forms(token: str, text: str) -> Iterator[tuple[str, bytes]]:
    """The ways to read a run of letters and digits."""
    stripped = token.translate(_SPACE)
    if _HEX.search(stripped):
        yield "hex", _from_hex(stripped[2:] if stripped.startswith("0x") else stripped)
        yield "reversed-hex", _from_hex(stripped[::-1] if not stripped.startswith("0x") else stripped[:1:-1])
        return
    if _BASE32.search(stripped):
        bare = stripped.rstrip("=").upper()
        with contextlib.suppress(binascii.Error, ValueError):
            yield "base32", base64.b32decode(bare + "=" * (-len(bare) % 8))
    data = decode_base64(token)
    if data is not None:
        yield "base64", data
    if not stripped.startswith("="):
        mirrored = decode_base64(stripped[::-1].lstrip("="))
        if mirrored is not None:
            yield "reversed-base64", mirrored
    if len(stripped) >= 32 and not (stripped.islower() or stripped.isupper()):
        # Something that is no part of it stands before it: a path, a prefix, a letter put there on purpose.
        before = [at + 1 for at, character in enumerate(stripped[:_MAX_PREFIX]) if character in "/_-"]
        for skip in (1, 2, 3, *before[-_MAX_PREFIXES:]):
            shifted = decode_base64(stripped[skip:])
            if shifted is not None:
                yield "base64", shifted
    if len(stripped) <= _MAX_BASE58 and "58" in text and _BASE58.search(stripped):
        yield "base58", _decode_base58(stripped)


def _plain_name(piece: str) -> bool:
    """Whether a run of letters and digits is a ruler, padding, or a name or path in small letters, which no base64 of a text is."""
    characters = set(piece[:_SAMPLE])
    return len(characters) <= _RULER_CHARACTERS or (piece.islower() and not characters & _DIGITS)


def _forms(group: str, piece: str, text: str) -> Iterator[tuple[str, bytes]]:
    if group == "base64":
        yield from _token_forms(piece, text)
    elif group == "spaced":
        groups = piece.split(" ")
        for skip in range(min(_MAX_WORDS_BEFORE, len(groups) - 2) + 1):
            data = decode_base64("".join(groups[skip:]))
            if data is not None:
                yield "base64", data
    elif group == "chunks":
        decoded = [decode_base64(chunk) for chunk in _PADDED.findall(piece)]
        yield "base64", b"".join(data for data in decoded if data)
    elif group == "escapes":
        yield "escapes", _decode_escapes(piece)
    elif group == "percent":
        yield "percent", urllib.parse.unquote_to_bytes(piece)
    elif group == "entities":
        yield "entities", html.unescape(piece).encode("utf-8", "surrogatepass")
    elif group == "printable":
        yield "quoted-printable", quopri.decodestring(piece.encode())
    elif group == "utf7":
        yield "utf-7", decode_base64(piece[1:-1]) or b""
    elif group == "binary":
        bits = "".join(digit for digit in piece.replace("0b", "") if digit in "01")
        yield "binary", bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8))
    elif group == "dump":
        lines = _DUMP_LINE.findall(piece) or [piece]
        yield "hex", _from_hex("".join(lines).replace(" ", ""))
    elif group == "pairs":
        yield "hex", bytes.fromhex("".join(run[-2:] for run in _HEX_RUN.findall(piece)))
        yield from _decode_codes(piece)
    elif group == "codes":
        yield from _decode_codes(piece)
    elif group == "ascii85":
        with contextlib.suppress(ValueError):
            yield "ascii85", base64.a85decode(piece, adobe=True)


def _unfold(step: str, data: bytes) -> tuple[str, bytes]:
    packed = bounded_decompress(data)
    return (f"{step}/{packed[0]}", packed[1]) if packed else (step, data)


@lru_cache(maxsize=2)
def _keys(text: str) -> tuple[bytes, ...]:
    """Short literals of a text that speaks of XOR, whose key may stand beside what it hides. Remembered, as every piece of a text asks."""
    if "^" not in text and "xor" not in text.lower():
        return ()
    seen: dict[str, bytes] = {}
    for match in _QUOTED.finditer(text):
        seen.setdefault(match.group(1), match.group(1).encode("utf-8", "surrogatepass"))
        if len(seen) >= _MAX_KEYS:
            break
    return tuple(seen.values())


def _unmask(data: bytes, text: str) -> tuple[str, bytes] | None:
    """Text under a XOR with one byte, or with a key that ``text`` holds.

    A XOR of ASCII text with one byte, or with an ASCII key, leaves the top bit of all bytes alike; bytes of a hash or a picture do not.
    """
    sample = data[:_MAX_XOR]
    if len(sample) < _MIN_XOR or len({byte >> 7 for byte in sample[:_MIN_XOR]}) != 1:
        return None
    if len({byte >> 7 for byte in sample}) != 1:
        return None
    if len(set(sample)) * 4 <= 3 * len(sample) + 8:
        # Text has blanks, so one of the bytes is a blank under the key.
        for key in sorted({byte ^ 0x20 for byte in set(sample)} - {0}):
            plain = sample.translate(_XOR_TABLES[key])
            if len(plain.translate(None, _SHOWN)) * 20 > len(plain) and b"\0" not in plain:
                continue
            if plain.isascii() and (text_of := readable(plain)) is not None and speaks(text_of) and " " in text_of:
                return "xor", plain
    for word in _keys(text):
        plain = bytes(byte ^ word[at % len(word)] for at, byte in enumerate(sample))
        if plain.isascii() and (text_of := readable(plain)) is not None and speaks(text_of):
            return "xor", plain
    return None


def meaning(step: str, data: bytes, text: str) -> tuple[str, bytes] | None:
    """``(step, bytes)`` where the decoding gave something that can be read, opened or named, else None."""
    step, data = _unfold(step, data[:MAX_DECODED])
    plain = readable(data)
    if plain is not None and speaks(plain):
        return step, data
    if data.startswith(_PACKED):
        return step, data
    unmasked = _unmask(data, text) if plain is None or not speaks(plain) else None
    return (f"{step}/{unmasked[0]}", unmasked[1]) if unmasked else None


def find_encoded(text: str) -> Iterator[Decoded]:
    """Every encoded piece of ``text`` whose decoding says something or is an archive or a program, in order of place. One linear scan."""
    for match in _CANDIDATE.finditer(text):
        group, piece, start = _GROUPS[match.lastindex or 0], match.group(), match.start()
        if group == "base64" and _plain_name(piece):
            continue
        if group == "printable":
            # What is written plainly before the first escape belongs to it.
            start = max(text.rfind("\n", 0, start) + 1, start - _PLAIN_BEFORE)
            piece = text[start : match.end()]
        for step, data in _forms(group, piece, text):
            found = meaning(step, data, text) if data else None
            if found is not None:
                yield Decoded(start, match.end(), *found)
                break
    if "85" in text:
        yield from _base85_in(text)


def _base85_in(text: str) -> Iterator[Decoded]:
    for step, pattern, decode in (("base85", _SYMBOLS, base64.b85decode), ("ascii85", _ASCII85, base64.a85decode)):
        for match in pattern.finditer(text):
            with contextlib.suppress(ValueError):
                found = meaning(step, decode(match.group(1).replace("\\", "")), text)
                if found is not None:
                    yield Decoded(match.start(1), match.end(1), *found)
