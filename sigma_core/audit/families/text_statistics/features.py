"""Text to features: overlapping windows of lines, and the hashed words and word pairs of each.

Training and inference share this file, so a change here means training again. What would let a model learn where a text
comes from instead of what it does is left out: numbers, names of hosts, and the words that makers of test packages use
about their packages.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import re2

DIMENSIONS: Final = 1 << 18
WINDOW_TOKENS: Final = 80
MAX_WINDOWS_PER_FILE: Final = 1_200
_MAX_LINE_CHARACTERS = 2_000
_REMEMBERED_CHARACTERS = 40
_SILENT_BEFORE = "([{\"'*"
_SILENT_AFTER = ".,:;!?)]}\"'*"

_TOKEN = re2.compile(
    r"(?P<address>(?:https?|hxxps?|ftp)://[^\s)>\"'`\]]+)"
    r"|(?P<blob>[A-Za-z0-9+/=_-]{40,})"
    r"|(?P<ip>\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b)"
    r"|(?P<home>(?:~|\$HOME)/[A-Za-z0-9._/-]*)"
    r"|(?P<variable>\$\{?[A-Za-z_][A-Za-z0-9_]*\}?|\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b)"
    r"|(?P<word>\.?[A-Za-z][A-Za-z]+)"
    r"|(?P<sign>&&|\|\||>>|\$\(|\B--?[a-z]\b|[|@<>`])"
    r"|(?P<foreign>[^\x00-\x7f])"
)
_SECRET_NAME = re2.compile(r"(?i)key|token|secret|passw|credential|private")
_ADDRESS_IP = re2.compile(r"^[a-z]+://[0-9]{1,3}\.")
_ABOUT_PACKAGES = frozenset(
    {
        "evil", "attacker", "attackers", "attack", "malicious", "malware", "benign", "clean", "fixture", "fixtures",
        "example", "examples", "showcase", "sample", "samples", "demonstrates", "demonstrate", "demonstrating",
        "demo", "detection", "detector", "detect", "detected", "expected", "rule", "rules", "test", "tests",
        "synthetic", "regression", "marker", "finding", "findings", "campaign", "researchers", "discovered",
        "documented", "published", "reported", "january", "february", "march", "april", "may", "june", "july",
        "august", "september", "october", "november", "december", "adversary", "hostile", "rogue", "threat",
        "scanner", "skillscan", "clawseccheck", "skillfortifybench", "inert", "appendix", "specification", "licensed",
        "apache", "cisco", "evaluation", "copyright", "cve", "ghsa", "suspicious", "vulnerable", "vulnerability",
        "exploit", "bad", "steal", "stealth", "phish", "harvest", "backdoor", "sniff", "loader", "relay", "pivot",
        "lateral", "placeholder", "real", "never", "must", "warn", "fail", "fires", "critical", "high", "medium",
        "low", "owasp", "mitre", "atlas", "test-case", "poc",
    }
)  # fmt: skip
"""Words by which makers of test packages give their label away; they carry no evidence about a package in the wild."""


@dataclass(frozen=True, slots=True)
class Window:
    """Lines ``first`` to ``last`` (1-based, inclusive) and their distinct features."""

    first: int
    last: int
    features: frozenset[int]


def tokens_of(line: str) -> list[str]:
    """The tokens of one line, with addresses, blobs and names of variables put into classes."""
    tokens: list[str] = []
    for chunk in line[:_MAX_LINE_CHARACTERS].split():
        tokens += _chunk_tokens(chunk) if len(chunk) <= _REMEMBERED_CHARACTERS else _read_chunk(chunk)
    return tokens


def _read_chunk(chunk: str) -> tuple[str, ...]:
    """The tokens of text without spaces. Plain words, most of all text, need no pattern."""
    core = chunk.rstrip(_SILENT_AFTER).lstrip(_SILENT_BEFORE)
    if core.isascii() and core.isalpha() and 1 < len(core) < 40:
        word = core.lower()
        return () if word in _ABOUT_PACKAGES else (word,)
    found: list[str] = []
    for match in _TOKEN.finditer(chunk):
        kind, text = match.lastgroup, match.group()
        if kind == "word":
            word = text.lower()
            if word not in _ABOUT_PACKAGES:
                found.append(word)
        elif kind == "address":
            found.append("<address-by-number>" if _ADDRESS_IP.search(text) else "<address>")
        elif kind == "variable":
            found.append("<secret-variable>" if _SECRET_NAME.search(text) else "<variable>")
        elif kind == "home":
            found.append("<home>")
            found.extend(part.lower() for part in text.split("/")[1:3] if part)
        elif kind == "sign":
            found.append(text)
        else:
            found.append(f"<{kind}>")
    return tuple(found)


_chunk_tokens = lru_cache(maxsize=1 << 15)(_read_chunk)


def features_of(tokens: list[str]) -> list[int]:
    """Hashed words and pairs of neighbouring words: CRC-32 of ``word`` and of ``word word``, folded to `DIMENSIONS`."""
    encoded = [token.encode() for token in tokens]
    words = [zlib.crc32(word) for word in encoded]
    pairs = [zlib.crc32(b" " + second, first) for first, second in zip(words, encoded[1:], strict=False)]
    return [value & (DIMENSIONS - 1) for value in words + pairs]


def windows_of(text: str) -> Iterator[Window]:
    """Windows of whole lines with at least `WINDOW_TOKENS` tokens, each starting near the middle of the one before.
    Counted in tokens, so that neither the length of a file nor padding changes the company that a passage has. At most
    `MAX_WINDOWS_PER_FILE`."""
    tokens = [tokens_of(line) for line in text.split("\n")]
    features = [features_of(line) for line in tokens]
    start = 0
    for _ in range(MAX_WINDOWS_PER_FILE):
        end, size = start, 0
        while end < len(tokens) and size < WINDOW_TOKENS:
            size += len(tokens[end])
            end += 1
        distinct = frozenset(feature for line in features[start:end] for feature in line)
        if distinct:
            yield Window(start + 1, end, distinct)
        if end >= len(tokens):
            return
        half = 0
        while half < WINDOW_TOKENS // 2:
            half += len(tokens[start])
            start += 1


def margin(weights: Sequence[int], features: frozenset[int]) -> int:
    """The sum of the features' weights over the root of their number, times 256, rounded down: integers only."""
    return (sum([weights[feature] for feature in features]) << 16) // math.isqrt(len(features) << 16)
