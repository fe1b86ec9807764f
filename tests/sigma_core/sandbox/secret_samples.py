"""Live-looking secrets of every form, made at run time so that none stands in the repository."""

from __future__ import annotations

import base64
import hashlib
import json
import random

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sigma_core.sandbox.secret_forms import crc62
from sigma_core.sandbox.wallet_secrets import _word_numbers

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def live_secrets(seed: int) -> dict[str, str]:
    """One value for each form, drawn from ``seed``."""
    chance = random.Random(seed)

    def letters(count: int, alphabet: str = _LETTERS) -> str:
        return "".join(chance.choice(alphabet) for _ in range(count))

    body = letters(30)
    claims = base64.urlsafe_b64encode(json.dumps({"sub": letters(12), "iss": letters(6)}).encode()).decode().rstrip("=")
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    number = base64.urlsafe_b64encode(str(chance.randrange(10**17, 5 * 10**17)).encode()).decode().rstrip("=")
    key = chance.randbytes(32)
    pair = key + Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
    return {
        "github": "gh" + "p_" + body + crc62(body),
        "npm": "npm" + "_" + body + crc62(body),
        "aws": "AK" + "IA" + "A" + letters(15, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
        "openai": "sk-" + "proj-" + letters(40) + "T3Blbk" + "FJ" + letters(40),
        "anthropic": "sk-" + "ant-api03-" + letters(93) + "AA",
        "openrouter": "sk-" + "or-v1-" + letters(64, "0123456789abcdef"),
        "slack": "xox" + "b-" + letters(12, "123456789") + "-" + letters(12, "123456789") + "-" + letters(24),
        "discord": number + "." + letters(6) + "." + letters(38),
        "telegram": letters(10, "123456789") + ":A" + "A" + letters(33),
        "stripe": "sk_" + "live_" + letters(24),
        "google": "AI" + "za" + letters(35),
        "gitlab": "glp" + "at-" + letters(20),
        "huggingface": "hf" + "_" + letters(34),
        "jwt": f"{header}.{claims}.{letters(43)}",
        "pem": _pem(chance.getrandbits(200) + 1),
        "wallet": _wif(key),
        "seed_phrase": _phrase(chance.randbytes(16)),
        "key_pair": json.dumps(list(pair)),
        "raw_key": "0x" + key.hex(),
        "login": letters(14),
        "assigned": letters(40),
    }


def written(form: str, value: str) -> str:
    """A line of text that holds the value as people leave it."""
    return {
        "raw_key": f'private_key = "{value}"',
        "login": f"DATABASE_URL=postgres://svc:{value}@db7.acme-internal.io:5432/app",
        "assigned": f'"auth_token": "{value}"',
        "key_pair": f"keypair = {value}",
        "seed_phrase": f"wallet words: {value}",
    }.get(form, f"value = '{value}'")


def _pem(number: int) -> str:
    return (
        ec.derive_private_key(number, ec.SECP256R1())
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
        .strip()
    )


def _wif(key: bytes) -> str:
    data = b"\x80" + key + b"\x01"
    number = int.from_bytes(data + hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4], "big")
    digits = ""
    while number:
        number, remainder = divmod(number, 58)
        digits = _BASE58[remainder] + digits
    return digits


def _phrase(entropy: bytes) -> str:
    words = list(_word_numbers())
    width = len(entropy) // 4
    value = int.from_bytes(entropy, "big") << width | hashlib.sha256(entropy).digest()[0] >> (8 - width)
    count = (len(entropy) * 8 + width) // 11
    return " ".join(words[value >> 11 * at & 2047] for at in reversed(range(count)))
