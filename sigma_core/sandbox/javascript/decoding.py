"""Calls that turn data into text: what they decode is read again."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from sigma_core.sandbox.encodings import bounded_decompress, decode_base64, readable
from sigma_core.sandbox.javascript.reader import Reader
from sigma_core.sandbox.javascript.values import Call, Value
from sigma_core.sandbox.observations import NO_LABELS, Source, join
from sigma_core.sandbox.vocabulary import name_set

_BUFFERS = frozenset({"Buffer.from", "Buffer"})
_ENCODINGS = frozenset({"base64", "hex", "base64url"})
_INFLATE = name_set("inflateSync gunzipSync brotliDecompressSync inflateRawSync unzipSync inflate gunzip")
_CIPHERS = name_set("createDecipheriv createDecipher decrypt")


def decoding_of(reader: Reader, call: Call) -> Value | None:
    """What a call decodes, or None for a call that decodes nothing."""
    name, method = call.name, call.method
    if name in {"atob", "window.atob"} or (name in _BUFFERS and call.argument(1).constant in _ENCODINGS):
        return _decode(reader, call)
    if name in {"String.fromCharCode", "String.fromCodePoint"}:
        return _characters(reader, call)
    if name in {"unescape", "decodeURIComponent", "decodeURI"} and call.first.constant:
        encoded = "%" in call.first.constant
        text = readable(unquote_to_bytes(call.first.constant)) or ""
        reader.embed("percent", "text", text, call.node)
        labels = frozenset({(Source.DECODED, name)}) if encoded else NO_LABELS
        return Value(text or None, join(call.first.labels, labels), folded=True)
    if call.root == "zlib" and method in _INFLATE:
        return Value(labels=join(call.labels, frozenset({(Source.DECODED, method)})))
    if method in _CIPHERS and (call.root in {"crypto", "CryptoJS"} or method != "decrypt"):
        return Value(labels=join(call.labels, frozenset({(Source.DECODED, method)})))
    return None


def _decode(reader: Reader, call: Call) -> Value:
    labels = join(call.first.labels, frozenset({(Source.DECODED, call.name)}))
    if call.first.constant is None:
        return Value(labels=labels)
    data: bytes | None
    if call.argument(1).constant == "hex":
        try:
            data = bytes.fromhex(call.first.constant)
        except ValueError:
            data = None
    else:
        data = decode_base64(call.first.constant)
    packed = bounded_decompress(data) if data else None
    text = readable(packed[1] if packed else data) if data else None
    if text:
        reader.embed("decoded", "text", text, call.node)
    return Value(text, labels, folded=True)


def _characters(reader: Reader, call: Call) -> Value:
    codes = [value.constant for value in call.arguments] if len(call.arguments) > 1 else list(call.first.parts)
    labels = frozenset({(Source.DECODED, "fromCharCode")})
    try:
        text = "".join(chr(int(code or "x", 0)) for code in codes)
    except (ValueError, OverflowError):
        return Value(labels=labels)
    if len(text) >= 6:
        reader.embed("character-codes", "text", text, call.node)
    return Value(text or None, labels, folded=True)
