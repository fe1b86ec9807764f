"""Forms of secrets that services and tools issue, and what each form says about a value: checksums, fixed parts, structure.

Sources: GitHub and npm "behind the new token format" (CRC-32 in base 62), AWS IAM identifiers (account in base 32), RFC 7468 (PEM), RFC 7519 (JWT), the services' own documents for prefixes
and lengths.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MIN_ENTROPY = 3_300
"""Thousandths of a bit per character below which a token is no random one."""
MIN_HEX_ENTROPY = 3_000


@dataclass(frozen=True, slots=True)
class Form:
    """One form: its name, its pattern (google-re2, no groups), and what makes a value live; the last is ANDed with not being a placeholder.

    ``proof`` is true where the check is a checksum or structure that chance does not pass: then words around the value do not matter.
    """

    name: str
    pattern: str
    live: Callable[[str], bool]
    proof: bool = False


@lru_cache(maxsize=4_096)
def _log2(number: int) -> int:
    """log2 in 2^-16 units, by repeated squaring: the same on every machine."""
    whole = number.bit_length() - 1
    fraction, mantissa = 0, (number << 30) >> whole
    for _ in range(16):
        mantissa = (mantissa * mantissa) >> 30
        fraction <<= 1
        if mantissa >> 31:
            fraction |= 1
            mantissa >>= 1
    return (whole << 16) + fraction


def entropy_millibits(text: str) -> int:
    """Shannon entropy per character, in thousandths of a bit, rounded down."""
    if not text:
        return 0
    total = len(text)
    spread = sum(count * _log2(count) for count in (text.count(character) for character in set(text)))
    return (1_000 * (total * _log2(total) - spread)) // (total << 16)


def is_sequence(text: str) -> bool:
    """Whether a value runs along the alphabet or the digits, or repeats itself: made by hand."""
    steps = sum(1 for one, other in itertools.pairwise(text) if ord(other) - ord(one) in {0, 1})
    if len(text) >= 12 and steps * 5 >= len(text) * 2:
        return True
    return any(text[period:] == text[:-period] for period in range(1, min(9, len(text) // 2)))


def _random(value: str) -> bool:
    return entropy_millibits(value) >= MIN_ENTROPY


def _random_tail(value: str) -> bool:
    """The part behind the last separator of the prefix is random, in hexadecimal or wider."""
    tail = max(value.replace("-", "_").split("_"), key=len)
    return entropy_millibits(tail) >= (MIN_HEX_ENTROPY if _is_hex(tail) else MIN_ENTROPY)


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdefABCDEF" for character in text)


def crc62(body: str) -> str:
    """Six base-62 digits of the CRC-32 of ``body``."""
    value, digits = binascii.crc32(body.encode()), ""
    while value:
        value, remainder = divmod(value, 62)
        digits = _BASE62[remainder] + digits
    return digits.rjust(6, "0")


def _checked_tail(value: str) -> bool:
    """The last six characters are the checksum of those between prefix and them."""
    body = value.split("_", 1)[1]
    return crc62(body[:-6]) == body[-6:]


def _aws(value: str) -> bool:
    """The account number in the key is one of twelve digits, and the key is not one of the documentation's."""
    number = int.from_bytes(base64.b32decode(value[4:] + "=" * (-len(value[4:]) % 8))[:6], "big")
    return (number & 0x7FFFFFFFFF80) >> 7 < 10**12 and entropy_millibits(value[4:]) >= 2_800


def _der(value: str) -> bool:
    """The body is base64 of one DER sequence of exactly its own length, or of an OpenSSH key."""
    body = "".join(
        value.replace("\\n", "\n")
        .replace("\\r", "")
        .rsplit("PRIVATE KEY-----", 1)[0]
        .partition("-----BEGIN")[2]
        .partition("-----")[2]
        .rpartition("-----END")[0]
        .split()
    )
    lines = [part for part in body.split(":")[-1:] if part]
    try:
        data = base64.b64decode("".join(lines), validate=True)
    except (ValueError, binascii.Error):
        return False
    if data.startswith(b"openssh-key-v1\x00"):
        return len(data) > 100
    if len(data) < 40 or data[0] != 0x30:
        return False
    if data[1] < 0x80:
        return data[1] + 2 == len(data)
    width = data[1] & 0x7F
    return width <= 4 and int.from_bytes(data[2 : 2 + width], "big") + 2 + width == len(data)


def _json_part(text: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _jwt(value: str) -> bool:
    """A signed token of somebody in particular: not the samples of tutorials, and not a key that is made to be public."""
    head, claims, _ = value.split(".", 2)
    header, payload = _json_part(head), _json_part(claims)
    sample = str(payload.get("name", "")).lower() in {"john doe", "jane doe"} or str(payload.get("sub", "")) in {
        "1234567890",
        "user",
        "user123",
    }
    return (
        bool(payload)
        and str(header.get("alg", "none")).lower() != "none"
        and not sample
        and payload.get("role") != "anon"
    )


def _discord(value: str) -> bool:
    """The first part is a user's number in base64."""
    head = value.split(".", 1)[0]
    try:
        number = base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
    except (ValueError, binascii.Error):
        return False
    return number.isdigit() and 17 <= len(number) <= 20 and _random(value.rsplit(".", 1)[1])


def _pypi(value: str) -> bool:
    """A macaroon whose location is PyPI."""
    return value.startswith(("pypi-AgEIcHlwaS5vcmc", "pypi-AgENdGVzdC5weXBpLm9yZ")) and _random(value)


def _slack_hook(value: str) -> bool:
    return _random(value.rsplit("/", 1)[1])


FORMS: tuple[Form, ...] = (
    Form("anthropic", r"\bsk-ant-[A-Za-z0-9_-]{24,}", lambda value: len(value) >= 60 and _random(value)),
    Form("openai", r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{10,}T3BlbkFJ[A-Za-z0-9_-]{20,}", _random, proof=True),
    Form("openrouter", r"\bsk-or-v1-[0-9a-f]{64}\b", _random_tail),
    Form("model_key", r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{20,}", lambda value: len(value) >= 35 and _random_tail(value)),
    Form("github", r"\bgh[pousr]_[A-Za-z0-9]{36}\b", _checked_tail, proof=True),
    Form("github", r"\bgh[pousr]_[A-Za-z0-9]{37,}\b|\bgithub_pat_[A-Za-z0-9_]{60,}\b", _random),
    Form("npm", r"\bnpm_[A-Za-z0-9]{36}\b", _checked_tail, proof=True),
    Form("aws", r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b", _aws),
    Form("slack", r"\bxox[abprse]-[A-Za-z0-9-]{20,}", _random_tail),
    Form("slack", r"\bxapp-\d-[A-Z0-9]{6,20}-\d{6,20}-[0-9a-f]{64}\b", _random_tail),
    Form("slack", r"\bhooks\.slack\.com/(?:services|workflows)/T[A-Z0-9]{6,14}/[AB][A-Z0-9]{6,14}/[A-Za-z0-9]{20,}", _slack_hook),
    Form("discord", r"\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}", _discord, proof=True),
    Form("discord", r"\bdiscord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d{17,20}/[A-Za-z0-9_-]{60,}", _slack_hook),
    Form("telegram", r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}\b", _random),
    Form("stripe", r"\b(?:sk|rk)_live_[A-Za-z0-9]{20,}\b|\bwhsec_[A-Za-z0-9+/]{32,}", _random_tail),
    Form("stripe_test", r"\b(?:sk|rk)_test_[A-Za-z0-9]{20,}\b", lambda _: False),
    Form("google", r"\bAIza[0-9A-Za-z_-]{35}", _random),
    Form("google", r"\bGOCSPX-[A-Za-z0-9_-]{28}\b", _random),
    Form("pypi", r"\bpypi-[A-Za-z0-9_-]{50,}", _pypi, proof=True),
    Form("gitlab", r"\bgl(?:pat|ptt|rt|dt)-[A-Za-z0-9_-]{20,}", _random_tail),
    Form("huggingface", r"\bhf_[A-Za-z0-9]{30,}\b", _random),
    Form("sendgrid", r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", _random),
    Form("groq", r"\bgsk_[A-Za-z0-9]{48,}\b", _random),
    Form("xai", r"\bxai-[A-Za-z0-9]{70,}\b", _random),
    Form("perplexity", r"\bpplx-[A-Za-z0-9]{40,}\b", _random),
    Form("replicate", r"\br8_[A-Za-z0-9]{37}\b", _random),
    Form("notion", r"\b(?:secret_[A-Za-z0-9]{43}|ntn_[A-Za-z0-9]{40,})\b", _random),
    Form("linear", r"\blin_(?:api|oauth)_[A-Za-z0-9]{40,}\b", _random),
    Form("shopify", r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b", _random_tail),
    Form("digitalocean", r"\bdo[opr]_v1_[0-9a-f]{64}\b", _random_tail),
    Form("supabase", r"\bsbp_[0-9a-f]{40}\b|\bsb_secret_[A-Za-z0-9_-]{30,}", _random_tail),
    Form("databricks", r"\bdapi[0-9a-f]{32}\b", _random_tail),
    Form("atlassian", r"\bATATT3[A-Za-z0-9_=-]{60,}", _random),
    Form("airtable", r"\bpat[A-Za-z0-9]{14}\.[0-9a-f]{64}\b", _random),
    Form("figma", r"\bfigd_[A-Za-z0-9_-]{36,}", _random),
    Form("tavily", r"\btvly-(?:dev-|prod-)?[A-Za-z0-9]{28,}\b", _random),
    Form("firecrawl", r"\bfc-[0-9a-f]{32}\b", _random_tail),
    Form("elevenlabs", r"\bsk_[0-9a-f]{48}\b", _random_tail),
    Form("mailgun", r"\bkey-[0-9a-f]{32}\b", _random_tail),
    Form("azure_storage", r"\bAccountKey=[A-Za-z0-9+/]{86}==", _random),
    Form("jwt", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}", _jwt),
    Form("pem", r"-----BEGIN (?:RSA |EC |DSA |OPENSSH |ENCRYPTED )?PRIVATE KEY-----(?:[A-Za-z0-9+/=\s\\:,]|-[A-Za-z0-9])*-----END (?:RSA |EC |DSA |OPENSSH |ENCRYPTED )?PRIVATE KEY-----", _der, proof=True),
    Form("pem", r"-----BEGIN (?:RSA |EC |DSA |OPENSSH |ENCRYPTED )?PRIVATE KEY-----[A-Za-z0-9+/=\s\\]*", lambda _: False),
    Form("pgp", r"-----BEGIN PGP PRIVATE KEY BLOCK-----[^-]*-----END PGP", lambda value: len(value) > 400, proof=True),
)  # fmt: skip
