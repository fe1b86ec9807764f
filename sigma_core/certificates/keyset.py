"""Public keys that certificates are checked against: a published set, each key with the time in which it signed.

File form (JSON): ``{"schema": "sigma-key-set-v1", "keys": [{keyId, algorithm: "ed25519", publicKey, validFrom,
validUntil}]}`` with ``publicKey`` the 32 raw bytes in base64 and ``validUntil`` null while the key is in use. A key
id is the SHA-256 of the DER SubjectPublicKeyInfo: ``openssl pkey -in key.pem -pubout -outform DER | sha256sum``.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sigma_core.canonical import NotCanonical, canonical_json, parse_strict_json, sha256_hex
from sigma_core.certificates.refusals import shown
from sigma_core.errors import SigmaError
from sigma_core.timestamps import iso_utc, parse_iso_utc

SCHEMA = "sigma-key-set-v1"
ALGORITHM = "ed25519"
MAX_KEYS = 64
MAX_KEY_SET_BYTES = 64 * 1024


class KeySetError(SigmaError):
    """A key set that cannot be used; names the key and the rule."""

    code = "KEY_SET_INVALID"


def key_id_of(public_key: Ed25519PublicKey) -> str:
    """SHA-256 hex of the key's DER SubjectPublicKeyInfo."""
    return sha256_hex(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@dataclass(frozen=True)
class TrustedKey:
    """A public key. What it signs must be dated in the half-open time [valid_from, valid_until)."""

    public_key: Ed25519PublicKey = field(repr=False)
    valid_from: datetime
    valid_until: datetime | None = None
    key_id: str = field(init=False)

    def __post_init__(self) -> None:
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise KeySetError("a key's validUntil must be later than its validFrom")
        object.__setattr__(self, "key_id", key_id_of(self.public_key))

    def signed(self, signature: bytes, message: bytes) -> bool:
        """Whether ``signature`` is this key's over ``message``."""
        try:
            self.public_key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def as_json(self) -> dict[str, Any]:
        """The key as it stands in a key set file."""
        return {
            "keyId": self.key_id,
            "algorithm": ALGORITHM,
            "publicKey": b64encode(self.public_key.public_bytes_raw()).decode(),
            "validFrom": iso_utc(self.valid_from),
            "validUntil": None if self.valid_until is None else iso_utc(self.valid_until),
        }


class KeySet:
    """Trusted keys by id. Raises KeySetError for more than `MAX_KEYS` or for one key twice."""

    def __init__(self, keys: Iterable[TrustedKey]) -> None:
        by_id: dict[str, TrustedKey] = {}
        for key in keys:
            if key.key_id in by_id:
                raise KeySetError(f"key {key.key_id} is in the set twice")
            by_id[key.key_id] = key
        if len(by_id) > MAX_KEYS:
            raise KeySetError(f"{len(by_id)} keys, more than {MAX_KEYS}")
        self.by_id: Mapping[str, TrustedKey] = MappingProxyType(dict(sorted(by_id.items())))

    @classmethod
    def parse(cls, data: bytes) -> KeySet:
        """The set in a key set file. Raises KeySetError."""
        if len(data) > MAX_KEY_SET_BYTES:
            raise KeySetError(f"key set: {len(data)} bytes, more than {MAX_KEY_SET_BYTES}")
        try:
            document = parse_strict_json(data)
        except NotCanonical as error:
            raise KeySetError(f"key set: {error.message}") from None
        if not isinstance(document, dict) or document.keys() != {"schema", "keys"} or document["schema"] != SCHEMA:
            raise KeySetError(f'key set: expected {{"schema": "{SCHEMA}", "keys": […]}}')
        keys = document["keys"]
        if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
            raise KeySetError(f"key set: keys must be a list of 1 to {MAX_KEYS}")
        return cls(_parse_key(key, f"keys[{index}]") for index, key in enumerate(keys))

    def to_bytes(self) -> bytes:
        """The file, canonical and sorted by key id."""
        return canonical_json({"schema": SCHEMA, "keys": [key.as_json() for key in self.by_id.values()]})


def _parse_key(entry: Any, place: str) -> TrustedKey:
    names = {"keyId", "algorithm", "publicKey", "validFrom", "validUntil"}
    if not isinstance(entry, dict) or entry.keys() != names:
        raise KeySetError(f"{place}: expected an object with {', '.join(sorted(names))}")
    if entry["algorithm"] != ALGORITHM:
        raise KeySetError(f"{place}.algorithm: expected {ALGORITHM}, found {shown(entry['algorithm'])}")
    key = TrustedKey(
        _parse_public_key(entry["publicKey"], f"{place}.publicKey"),
        _parse_time(entry["validFrom"], f"{place}.validFrom"),
        None if entry["validUntil"] is None else _parse_time(entry["validUntil"], f"{place}.validUntil"),
    )
    if entry["keyId"] != key.key_id:
        raise KeySetError(f"{place}.keyId: expected {key.key_id}, the hash of publicKey, found {shown(entry['keyId'])}")
    return key


def _parse_public_key(text: Any, place: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(b64decode(text, validate=True))
    except (TypeError, ValueError):
        raise KeySetError(f"{place}: expected 32 bytes in base64, found {shown(text)}") from None


def _parse_time(text: Any, place: str) -> datetime:
    try:
        return parse_iso_utc(text)
    except (AttributeError, TypeError, ValueError):
        raise KeySetError(f"{place}: expected a UTC time ending in Z, found {shown(text)}") from None
