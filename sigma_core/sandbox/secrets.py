"""Secrets in text: which are live, which are placeholders, and how to write any of them without giving it away."""

from __future__ import annotations

import binascii
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import re2

_TOKEN = re2.compile(
    r"\b(?P<github>gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b"
    r"|\b(?P<aws>(?:AKIA|ASIA)[A-Z2-7]{16})\b"
    r"|\b(?P<openai>sk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{20,})\b"
    r"|\b(?P<anthropic>sk-ant-[A-Za-z0-9_-]{24,})\b"
    r"|\b(?P<slack>xox[abprse]-[A-Za-z0-9-]{20,})\b"
    r"|\b(?P<stripe>[rs]k_live_[A-Za-z0-9]{20,})\b"
    r"|\b(?P<google>AIza[0-9A-Za-z_-]{35})"
    r"|\b(?P<npm>npm_[A-Za-z0-9]{36})\b"
    r"|\b(?P<pypi>pypi-[A-Za-z0-9_-]{50,})"
    r"|\b(?P<gitlab>glpat-[A-Za-z0-9_-]{20,})"
    r"|\b(?P<huggingface>hf_[A-Za-z0-9]{30,})\b"
    r"|\b(?P<sendgrid>SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})"
    r"|\b(?P<telegram>[0-9]{8,10}:[A-Za-z0-9_-]{35})\b"
    r"|(?P<pem>-----BEGIN (?:RSA |EC |DSA |OPENSSH |ENCRYPTED )?PRIVATE KEY-----[A-Za-z0-9+/=\s\\n]*)"
    r"|\b(?P<jwt>eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,})\b"
)
_ASSIGNED = re2.compile(
    r"(?i)\b(?P<name>[a-z0-9_.-]{0,40}(?:secret|passwd|password|api_?key|apikey|access_?key|auth_?token|token|private_?key|mnemonic))\b['\"]?\s{0,3}(?:[:=]|is)\s{0,3}['\"`]?(?P<value>(?:0x)?[A-Za-z0-9+/_.=-]{16,})"
)
_WALLET_KEY = re2.compile(r"(?i)\bprivate[ _-]?key\b[^\n]{0,40}?\b(?P<value>0x[0-9a-f]{64})\b")
_PLACEHOLDER = re2.compile(
    r"(?i)(?:x{4,}|your|example|sample|placeholder|changeme|change_me|dummy|fake|test|replace|insert|todo|redacted|\.\.\.|<|>|\*{3,}|0{6,}|1234567|abcdef|deadbeef|foobar|secret_here|_here|notreal|demo|mock|none|null|process\.env|environ|getenv|config\.)"
)


@dataclass(frozen=True, slots=True)
class Secret:
    """One find: character range, the service or form, and whether it looks live."""

    start: int
    end: int
    form: str
    live: bool


def entropy_millibits(text: str) -> int:
    """Shannon entropy per character, in thousandths of a bit, rounded down."""
    counts = Counter(text)
    total = len(text)
    return int(1_000 * -sum(count / total * math.log2(count / total) for count in counts.values())) if total else 0


def _github_checksum(token: str) -> bool:
    """GitHub's tokens end in a base-62 CRC-32 of the 30 characters before it (github.blog, 2021)."""
    body, tail = token[4:-6], token[-6:]
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    value, digits = binascii.crc32(body.encode()), ""
    while value:
        value, remainder = divmod(value, 62)
        digits = alphabet[remainder] + digits
    return digits.rjust(6, "0") == tail


def _live(form: str, value: str) -> bool:
    if form == "pem":
        body = "".join(value.rsplit("-----", maxsplit=1)[-1].split())
        return len(body) >= 100 and not _PLACEHOLDER.search(body[:60])
    if _PLACEHOLDER.search(value):
        return False
    if form == "github" and value.startswith("gh") and len(value) == 40:
        return _github_checksum(value)
    if form == "jwt":
        return False
    return entropy_millibits(value) >= 3_300


def find_secrets(text: str) -> Iterator[Secret]:
    """Every token of a known form, and random values under a secret's name."""
    for match in _TOKEN.finditer(text):
        form = match.lastgroup or ""
        yield Secret(match.start(), match.end(), form, _live(form, match.group()))
    for match in _WALLET_KEY.finditer(text):
        yield Secret(match.start(1), match.end(1), "wallet", True)
    for match in _ASSIGNED.finditer(text):
        value = match.group("value")
        if (
            any(character.isdigit() for character in value)
            and any(character.isalpha() for character in value)
            and not _TOKEN.search(value)
        ):
            yield Secret(
                match.start(2),
                match.end(2),
                "assigned",
                not _PLACEHOLDER.search(value) and len(value) >= 20 and entropy_millibits(value) >= 4_000,
            )


def redact(text: str) -> str:
    """``text`` with every secret-shaped value replaced by its first four characters and its length."""
    spans = sorted(
        {(match.start(), match.end()) for match in _TOKEN.finditer(text)}
        | {match.span(2) for match in _ASSIGNED.finditer(text)}
        | {match.span(1) for match in _WALLET_KEY.finditer(text)}
    )
    pieces, last = [], 0
    for start, end in spans:
        if start < last:
            continue
        pieces += [text[last:start], f"{text[start : start + 4]}…[redacted {end - start}]"]
        last = end
    return "".join([*pieces, text[last:]])
