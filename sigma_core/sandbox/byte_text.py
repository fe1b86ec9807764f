"""Bytes as text: which encoding a file is written in, and whether it is text at all."""

from __future__ import annotations

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_SAMPLE = 4_096


def text_of(data: bytes) -> tuple[str, str] | None:
    """``(text, encoding)`` of readable bytes, or None for binary. ``encoding`` is empty for UTF-8, else its name, as it is reported."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace"), "" if encoding.startswith("utf-8") else encoding
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and "\x00" not in text:
        return text, ""
    sample = data[:_SAMPLE]
    nulls = sample.count(0)
    if nulls * 5 > len(sample) * 2 and len(data) % 2 == 0:
        little = sample[1::2].count(0) >= sample[0::2].count(0)
        decoded = data.decode("utf-16-le" if little else "utf-16-be", "replace")
        if _mostly_printable(decoded[:500]):
            return decoded, "utf-16 without mark"
    controls = sum(1 for byte in sample if byte < 9 or 13 < byte < 32)
    return None if controls * 50 > len(sample) else (data.decode("utf-8", "replace"), "")


def _mostly_printable(text: str) -> bool:
    plain = sum(1 for character in text if character.isprintable() or character.isspace())
    return plain * 10 >= len(text) * 9
