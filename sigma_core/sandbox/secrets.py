"""Secrets in text: which are live, which are placeholders, and how to write any of them without giving it away."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

import re2

from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.secret_forms import FORMS, entropy_millibits, is_sequence
from sigma_core.sandbox.wallet_secrets import wallet_secrets

_TOKEN = re2.compile("|".join(f"({form.pattern})" for form in FORMS))
_ASSIGNED = linear_pattern(
    r"(?i)\b([a-z0-9_.-]{0,40}(?:secret|passwd|password|passphrase|api_?key|apikey|access_?key|auth_?token|token|private_?key|client_?secret|mnemonic))\b['\"]?\s{0,3}(?:[:=]|is)\s{0,3}['\"`]?((?:0x)?[A-Za-z0-9+/_.=-]{16,})",
    1_048_576,
)
_LOGIN_URL = linear_pattern(
    r"(?i)\b([a-z][a-z0-9+]{2,15})://([^\s:@/'\"`<>{}$]{0,80}):([^\s@/'\"`]{3,200})@(\[?[\w.:-]{1,253})"
)
_PLACEHOLDER = re2.compile(
    r"(?i)(?:x{4,}|your|example|sample|placeholder|changeme|change_me|dummy|fake|test|replace|insert|todo|redacted|\.\.\.|<|>|\*{3,}|0{6,}|1234567|abcdef|deadbeef|foobar|secret_here|_here|notreal|demo|mock|none|null|process\.env|environ|getenv|config\.|\$\{|\{\{)"
)
_PLAIN_PASSWORD = re2.compile(
    r"(?i)^(?:pass(?:word|wd)?|pwd|secret|user(?:name)?|admin|root|postgres|mysql|mongo|redis|guest|minio(?:admin)?|token|key|api_?key|\d{1,6}|(?:pass|password|secret|admin)\d{0,4}!?|.{0,2}|%s|\[[^\]]*\]?)$"
)
_SHOWN_BEFORE = re2.compile(
    r"(?i)(?:\b(?:examples?|e\.g|such as|looks? like|formats?|placeholders?|dummy|fake|samples?|pattern|regex|expired|revoked)\b[^\n]{0,40}$)"
)
_LOCAL_HOST = re2.compile(
    r"(?i)^\[?(?:localhost|127\.|0\.0\.0\.0|::1|host\b|db\b|example|postgres\b|redis\b|mongo\b|mysql\b)|example\.(?:com|org|net)"
)
_SLUG = re2.compile(r"^(?:[A-Za-z]+|\d{1,4})(?:[-_./](?:[A-Za-z]+|v?\d{1,4}))+$")
_MIN_ASSIGNED = 4_000
_RULES = {
    "pem": "SIGMA-SECRET-002",
    "pgp": "SIGMA-SECRET-002",
    "assigned": "SIGMA-SECRET-004",
    "jwt": "SIGMA-SECRET-004",
    "wallet": "SIGMA-SECRET-005",
    "seed_phrase": "SIGMA-SECRET-005",
    "login_url": "SIGMA-SECRET-006",
}
"""Rules of forms that are not simply a service's key."""
_EDGE = 6
"""Characters of a value that must stand at the edge of a text to be taken for a cut-off piece of it."""
MAX_VALUES = 1_000


@dataclass(frozen=True, slots=True)
class Secret:
    """One find: character range, the service or form, and whether it looks live."""

    start: int
    end: int
    form: str
    live: bool


def find_secrets(text: str) -> Iterator[Secret]:
    """Everything in ``text`` that has the form of a secret: tokens, keys of wallets, passwords in URLs, and random values under a secret's name."""
    taken: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(text):
        form = FORMS[match.lastindex - 1]
        value = match.group()
        taken.append(match.span())
        live = form.live(value) and not is_sequence(value[-20:])
        if live and not form.proof:
            live = not _PLACEHOLDER.search(value) and not _shown(text, match.start())
        yield Secret(match.start(), match.end(), form.name, live)
    for start, end, name, live in wallet_secrets(text):
        taken.append((start, end))
        yield Secret(start, end, name, live)
    if "://" in text and "@" in text:
        for match in _LOGIN_URL.finditer(text):
            user, password, host = match[2], match[3], match[4]
            plain = (
                _PLAIN_PASSWORD.search(password)
                or _PLACEHOLDER.search(password)
                or password.startswith(("$", "%", "{", "<"))
            )
            live = not plain and password != user and not _LOCAL_HOST.search(host) and not _shown(text, match.start())
            taken.append((match.start(3), match.end(3)))
            yield Secret(match.start(3), match.end(3), "login_url", live)
    for match in _ASSIGNED.finditer(text):
        start, end = match.span(2)
        value = match[2]
        mixed = any(character.isdigit() for character in value) and any(character.isalpha() for character in value)
        if not mixed or any(begin < end and start < stop for begin, stop in taken):
            continue
        live = len(value) >= 20 and entropy_millibits(value) >= _MIN_ASSIGNED and not _PLACEHOLDER.search(value)
        live = live and not _SLUG.search(value)
        yield Secret(start, end, "assigned", live and not is_sequence(value) and not _shown(text, match.start()))


def rule_of(secret: Secret) -> str:
    """The rule that a find is reported by."""
    return _RULES.get(secret.form, "SIGMA-SECRET-001") if secret.live else "SIGMA-SECRET-003"


def _shown(text: str, start: int) -> bool:
    """Whether the words before a value in its line say that it is only shown."""
    line = max(text.rfind("\n", max(0, start - 120), start) + 1, start - 120)
    return bool(_SHOWN_BEFORE.search(text[max(0, line) : start]))


def redact(text: str) -> str:
    """``text`` with every secret-shaped value replaced by its length, and the first four characters of long ones (the prefix that names the service)."""
    if len(text) < 10:
        return text
    spans = sorted((secret.start, secret.end) for secret in find_secrets(text))
    pieces, last = [], 0
    for start, end in spans:
        if start >= last:
            pieces += [text[last:start], _masked(text[start:end])]
            last = end
    return "".join([*pieces, text[last:]])


def _masked(value: str) -> str:
    return f"{value[:4] if len(value) >= 20 else ''}…[redacted {len(value)}]"


class Redactor:
    """Removes the secrets of one package from whatever is written about it: by form, by value, by the piece of a value that an excerpt cut off, and encoded."""

    def __init__(self, values: Iterable[str]) -> None:
        lines = {
            line.strip()
            for value in values
            for line in [value, " ".join(value.split()), *value.replace("\\n", "\n").split("\n")]
        }
        self._values = sorted((line for line in lines if len(line) >= 8), key=lambda line: (-len(line), line))[
            :MAX_VALUES
        ]

    @cached_property
    def _forms(self) -> list[str]:
        forms = {form for value in self._values for form in _encodings(value)}
        return sorted(forms, key=lambda form: (-len(form), form))

    @cached_property
    def _pieces(self) -> dict[str, list[tuple[str, int]]]:
        """Where each short piece stands in the values: for texts that begin or end inside one."""
        pieces: dict[str, list[tuple[str, int]]] = {}
        for value in self._values:
            for at in range(min(len(value), 400) - _EDGE + 1):
                pieces.setdefault(value[at : at + _EDGE], []).append((value, at))
        return pieces

    def text(self, text: str) -> str:
        """``text`` without secrets."""
        if self._values:
            for form in self._forms:
                if form in text:
                    text = text.replace(form, _masked(form))
            text = self._without_edges(text)
        return redact(text)

    def _without_edges(self, text: str) -> str:
        for value, at in self._pieces.get(text[:_EDGE], ()):
            rest = value[at:]
            if at and (text.startswith(rest) or rest.startswith(text)):
                text = f"…[redacted {len(rest)}]{text[len(rest) :]}"
                break
        for value, at in self._pieces.get(text[-_EDGE:], ()):
            head = value[: at + _EDGE]
            if at + _EDGE < len(value) and (text.endswith(head) or head.endswith(text)):
                return text[: max(0, len(text) - len(head))] + _masked(head)
        return text

    def data(self, value: Any) -> Any:
        """JSON data without secrets in any string value. Keys are the facts document's own names: a seed phrase may end in the word "network"."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.data(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(item) for item in value]
        return value


def _encodings(value: str) -> Iterator[str]:
    """The value, and what the usual encodings make of it wherever it stands in a longer text."""
    yield value
    data = value.encode("utf-8", "surrogatepass")
    yield data.hex()
    yield data.hex().upper()
    yield quote(value, safe="", errors="replace")
    yield value[::-1]
    for shift in range(3):
        # The characters that depend on nothing before and behind the value.
        encoded = base64.b64encode(b"\0" * shift + data).decode()
        inner = encoded[(shift * 8 + 5) // 6 :].rstrip("=")
        yield inner[:-1] if (shift + len(data)) % 3 else inner
