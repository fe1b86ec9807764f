"""Keys of wallets, told from look-alikes by their own checksums: WIF (base58check), Solana key pairs (Ed25519), seed phrases (BIP-39), raw secp256k1 keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import re2

from sigma_core.sandbox.secret_forms import MIN_HEX_ENTROPY, entropy_millibits

_WORDS_FILE = Path(__file__).with_name("names") / "bip39.txt"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
_WIF = re2.compile(r"\b[5KL][1-9A-HJ-NP-Za-km-z]{50,51}\b")
_RAW_KEY = re2.compile(
    r"(?i)\b(?:private[ _-]?key|secret[ _-]?key|priv[ _-]?key|wallet[ _-]?key|signer[ _-]?key)\w{0,20}\b[^\n]{0,40}?\b((?:0x)?[0-9a-f]{64})\b"
)
_KEY_PAIR = re2.compile(r"\[\s*(?:\d{1,3}\s*,\s*){63}\d{1,3}\s*\]")
_NUMBER = re2.compile(r"\d+")
# Eleven short words in a row: prose does not get there, a "the", "is" or "to" comes between.
_WORD_RUN = re2.compile(
    r"\b[a-z]{3,8}(?:(?:[ \t]*,)?[ \t]*(?:\r?\n)?[ \t]*(?:\d{1,2}[.):][ \t]*)?[ \t,][a-z]{3,8}|[ \t]*,?[ \t]*\r?\n[ \t]*(?:\d{1,2}[.):][ \t]*)?[a-z]{3,8}){11,}\b"
)
_LINE = re2.compile(r"[^\n]+")
_ONE_WORD = re2.compile(r"[a-z]+")
MIN_LENGTH = 40
"""No wallet's key is written in less."""
MAX_RUN = 4_000
"""Characters of a run of words that may hold a seed phrase."""
_PHRASE_LENGTHS = frozenset({12, 15, 18, 21, 24})
# First 16 hexadecimal digits of SHA-256 over keys and phrases that test chains and test vectors have made public.
_PUBLIC = frozenset(
    (
        "bc1a50966c9e6486 8335c55334821eef b26ab6529d20ebeb 64034b44c579b335 4d3e46eec8244d1d 0aedba9d586f34f9 28e543d3753fc9d1 f070994a85994785 38e69fdd19aefeb4 967f21586cdf1248 "
        "ecb0e7ba498c5920 3a64bcd9cea43c0a 943ba0762b3093d3 d6da54d12db9eac8 b12ee277a669b18f b2e71100d10bee74 b8ae5c99142647d1 0f388b04e512d7a0 b1bff22ae077ce1a 662c451cc5886e1d 867f9f5929a7201c b83e96417f61cb14 "
        "63d25a1eb677d096 9d6a2b9d1f01d457 cdfce49713b0b848 39cdd1e0a0bc94e9 3d1ee63f205e9c3e b924509b21e104e0"
    ).split()
)


def wallet_secrets(text: str) -> Iterator[tuple[int, int, str, bool]]:
    """``(start, end, form, live)`` of everything in ``text`` that is a wallet's key, or looks like one and is not."""
    if len(text) < MIN_LENGTH:
        return
    for match in _WIF.finditer(text):
        if _base58check(match.group()):
            yield match.start(), match.end(), "wallet", _digest(match.group()) not in _PUBLIC
    for match in _RAW_KEY.finditer(text):
        yield match.start(1), match.end(1), "wallet", _is_raw_key(match[1].lower().removeprefix("0x"))
    if "[" in text:
        for match in _KEY_PAIR.finditer(text):
            numbers = [int(number.group()) for number in _NUMBER.finditer(match.group())]
            if _is_key_pair(numbers):
                yield match.start(), match.end(), "wallet", True
    for match in _WORD_RUN.finditer(text):
        if match.end() - match.start() > MAX_RUN:
            continue  # a word list
        # A phrase stands on a line of its own, or is spread over several; a line is tried first, for the next may begin with a list word by chance.
        by_line = [
            found
            for line in _LINE.finditer(match.group())
            for found in _phrases(line.group(), match.start() + line.start())
        ]
        yield from by_line or _phrases(match.group(), match.start())


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:16]


def _base58check(text: str) -> bool:
    """A mainnet key: version 0x80, 32 bytes, an optional 0x01, four bytes of double SHA-256."""
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    try:
        data = number.to_bytes(38 if text[0] in "KL" else 37, "big")
    except OverflowError:
        return False
    body, check = data[:-4], data[-4:]
    return body[0] == 0x80 and hashlib.sha256(hashlib.sha256(body).digest()).digest()[:4] == check


def _is_raw_key(digits: str) -> bool:
    public = _digest(digits) in _PUBLIC
    return 0 < int(digits, 16) < _ORDER and entropy_millibits(digits) >= MIN_HEX_ENTROPY and not public


def _is_key_pair(numbers: list[int]) -> bool:
    """Whether the last 32 bytes are the Ed25519 public key of the first 32."""
    if any(number > 255 for number in numbers):
        return False
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - 6 MB, needed by few packages

    data = bytes(numbers)
    return Ed25519PrivateKey.from_private_bytes(data[:32]).public_key().public_bytes_raw() == data[32:]


@lru_cache(maxsize=1)
def _word_numbers() -> dict[str, int]:
    lines = _WORDS_FILE.read_text(encoding="ascii").split("\n")
    return {word: number for number, word in enumerate(line for line in lines if line and not line.startswith("#"))}


def _phrases(text: str, offset: int) -> Iterator[tuple[int, int, str, bool]]:
    """Runs of list words that have a phrase's length and checksum. Longer runs are the list itself, or prose."""
    numbers = _word_numbers()
    run: list[tuple[str, int, int]] = []
    words = [(match.group(), match.start(), match.end()) for match in _ONE_WORD.finditer(text)]
    for word in [*words, ("", 0, 0)]:
        if word[0] in numbers:
            run.append(word)
            continue
        if len(run) in _PHRASE_LENGTHS and _checksum([numbers[one] for one, _, _ in run]):
            phrase = [one for one, _, _ in run]
            public = _digest(" ".join(phrase)) in _PUBLIC
            made_up = len(set(phrase)) * 3 < len(phrase) * 2 or phrase == sorted(phrase)
            yield offset + run[0][1], offset + run[-1][2], "seed_phrase", not (public or made_up)
        run = []


def _checksum(numbers: list[int]) -> bool:
    """BIP-39: the last bits are the first of SHA-256 over the entropy, one for each 32 bits."""
    bits = len(numbers) * 11
    value = 0
    for number in numbers:
        value = value << 11 | number
    width = bits // 33
    entropy = (value >> width).to_bytes((bits - width) // 8, "big")
    return value & ((1 << width) - 1) == hashlib.sha256(entropy).digest()[0] >> (8 - width)
