"""Public keys that certificates are checked against: a published set, each key with the time in which it signed.

File form (JSON): ``{"schema": "sigma-key-set-v1", "keys": [{keyId, algorithm: "ed25519", publicKey, validFrom,
validUntil}]}`` with ``publicKey`` the 32 raw bytes in base64 and ``validUntil`` null while the key is in use. A key
id is the SHA-256 of the DER SubjectPublicKeyInfo: ``openssl pkey -in key.pem -pubout -outform DER | sha256sum``.

Optional, beside ``keys``: ``logs``, the note verifier keys of the issuer's transparency log, and ``witnesses``, those of the
witnesses whose cosignatures count. A log key that another has taken over from stands as ``{"key": …, "validUntil": …}``.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sigma_core.canonical import NotCanonical, canonical_json, parse_strict_json, sha256_hex
from sigma_core.certificates.ed25519 import signed, strict_public_key
from sigma_core.certificates.log.cosignature import WitnessKey
from sigma_core.certificates.log.note import NoteKey
from sigma_core.certificates.log.refusals import NoteError
from sigma_core.certificates.refusals import shown
from sigma_core.errors import SigmaError
from sigma_core.timestamps import iso_utc, parse_iso_utc

SCHEMA = "sigma-key-set-v1"
ALGORITHM = "ed25519"
MAX_KEYS = 64
"""Of each kind."""
MAX_KEY_SET_BYTES = 64 * 1024

Key = TypeVar("Key", bound=NoteKey)


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
        return signed(self.public_key, signature, message)

    def in_use_at(self, moment: datetime) -> bool:
        """Whether this key may sign what is dated ``moment``."""
        return self.valid_from <= moment and (self.valid_until is None or moment < self.valid_until)

    def as_json(self) -> dict[str, Any]:
        """The key as it stands in a key set file."""
        return {
            "keyId": self.key_id,
            "algorithm": ALGORITHM,
            "publicKey": b64encode(self.public_key.public_bytes_raw()).decode(),
            "validFrom": iso_utc(self.valid_from),
            "validUntil": None if self.valid_until is None else iso_utc(self.valid_until),
        }


@dataclass(frozen=True)
class LogKey(NoteKey):
    """The key of a log. Its checkpoints vouch for certificates that were issued before ``valid_until``.

    It has no beginning: a checkpoint covers everything that the log has ever held, and has no date of its own.
    """

    valid_until: datetime | None = None

    def in_use_at(self, moment: datetime) -> bool:
        """Whether this key may sign at ``moment``, and vouch for what is dated so."""
        return self.valid_until is None or moment < self.valid_until

    def as_json(self) -> Any:
        """The key as it stands in a key set file."""
        return (
            self.encode()
            if self.valid_until is None
            else {"key": self.encode(), "validUntil": iso_utc(self.valid_until)}
        )


class KeySet:
    """Trusted keys by id, log keys, witness keys. Raises KeySetError for more than `MAX_KEYS` of a kind or for one key twice."""

    def __init__(
        self, keys: Iterable[TrustedKey], *, logs: Iterable[NoteKey] = (), witnesses: Iterable[WitnessKey] = ()
    ) -> None:
        by_id: dict[str, TrustedKey] = {}
        for key in keys:
            if key.key_id in by_id:
                raise KeySetError(f"key {key.key_id} is in the set twice")
            by_id[key.key_id] = key
        self.by_id: Mapping[str, TrustedKey] = MappingProxyType(dict(sorted(by_id.items())))
        self.logs = _distinct((_as_log_key(key) for key in logs), "log")
        self.witnesses = _distinct(witnesses, "witness")
        if max(len(by_id), len(self.logs), len(self.witnesses)) > MAX_KEYS:
            raise KeySetError(f"more than {MAX_KEYS} keys of a kind")

    def log_keys(self, origin: str) -> tuple[LogKey, ...]:
        """The keys of the log of this name, whatever their time."""
        return tuple(key for key in self.logs if key.name == origin)

    @classmethod
    def parse(cls, data: bytes) -> KeySet:
        """The set in a key set file. Raises KeySetError."""
        if len(data) > MAX_KEY_SET_BYTES:
            raise KeySetError(f"key set: {len(data)} bytes, more than {MAX_KEY_SET_BYTES}")
        try:
            document = parse_strict_json(data)
        except NotCanonical as error:
            raise KeySetError(f"key set: {error.message}") from None
        if (
            not isinstance(document, dict)
            or not {"schema", "keys"} <= document.keys() <= {"schema", "keys", "logs", "witnesses"}
            or document["schema"] != SCHEMA
        ):
            raise KeySetError(
                f'key set: expected {{"schema": "{SCHEMA}", "keys": […]}}, "logs" and "witnesses" optional'
            )
        keys = _listed(document, "keys")
        if not keys:
            raise KeySetError(f"key set: keys must be a list of 1 to {MAX_KEYS}")
        return cls(
            [_parse_key(key, f"keys[{index}]") for index, key in enumerate(keys)],
            logs=[_parse_log_key(key, f"logs[{at}]") for at, key in enumerate(_listed(document, "logs"))],
            witnesses=[
                _parse_note_key(WitnessKey, key, f"witnesses[{at}]")
                for at, key in enumerate(_listed(document, "witnesses"))
            ],
        )

    def to_bytes(self) -> bytes:
        """The file, canonical, keys sorted by id; a kind that has none is left out."""
        document: dict[str, Any] = {"schema": SCHEMA, "keys": [key.as_json() for key in self.by_id.values()]}
        if self.logs:
            document["logs"] = [key.as_json() for key in self.logs]
        if self.witnesses:
            document["witnesses"] = [key.encode() for key in self.witnesses]
        return canonical_json(document)


def _distinct(keys: Iterable[Key], kind: str) -> tuple[Key, ...]:
    found = {key.encode(): key for key in keys}
    if len({(key.name, key.key_id) for key in found.values()}) != len(found):
        raise KeySetError(f"two {kind} keys of one name and id")
    return tuple(found[text] for text in sorted(found))


def _listed(document: dict[str, Any], kind: str) -> list[Any]:
    keys = document.get(kind, [])
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise KeySetError(f"key set: {kind} must be a list of 1 to {MAX_KEYS}")
    return keys


def _as_log_key(key: NoteKey) -> LogKey:
    return key if isinstance(key, LogKey) else LogKey(key.name, key.public_key)


def _parse_log_key(entry: Any, place: str) -> LogKey:
    if not isinstance(entry, dict):
        return _parse_note_key(LogKey, entry, place)
    if entry.keys() != {"key", "validUntil"}:
        raise KeySetError(f"{place}: expected a note verifier key, or an object with key and validUntil")
    key = _parse_note_key(LogKey, entry["key"], f"{place}.key")
    return replace(key, valid_until=_parse_time(entry["validUntil"], f"{place}.validUntil"))


def _parse_note_key(kind: type[Key], text: Any, place: str) -> Key:
    if not isinstance(text, str):
        raise KeySetError(f"{place}: expected a note verifier key, found {shown(text)}")
    try:
        return kind.parse(text)
    except NoteError as error:
        raise KeySetError(f"{place}: {error.message}") from None


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
        return strict_public_key(b64decode(text, validate=True))
    except (TypeError, ValueError) as error:
        raise KeySetError(f"{place}: expected 32 bytes in base64, found {shown(text)} ({error})") from None


def _parse_time(text: Any, place: str) -> datetime:
    try:
        return parse_iso_utc(text)
    except (AttributeError, TypeError, ValueError):
        raise KeySetError(f"{place}: expected a UTC time ending in Z, found {shown(text)}") from None
