"""Signed notes: a text, a blank line, and one signature line for each key.

Format: c2sp.org/signed-note, Ed25519 signatures (type 1). Signatures of keys that one does not know are ignored, so that
witnesses may add theirs; one of a key that one does know must be right.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sigma_core.certificates.ed25519 import signed, strict_public_key
from sigma_core.certificates.log.refusals import NoteError
from sigma_core.certificates.refusals import shown

if TYPE_CHECKING:  # a verifier never loads what handles secret keys
    from sigma_core.certificates.signing_key import SigningKey

ED25519 = b"\x01"
KEY_ID_BYTES = 4
PREFIX = "— "
MAX_NOTE_BYTES = 64 * 1024
MAX_SIGNATURES = 64
_WITHOUT_CONTROLS = {code: None for code in range(32) if code != ord("\n")}


@dataclass(frozen=True)
class NoteKey:
    """A public key with the name that its signature lines carry. Raises NoteError for a name that no line can carry."""

    algorithm: ClassVar[bytes] = ED25519
    name: str
    public_key: Ed25519PublicKey = field(repr=False)

    def __post_init__(self) -> None:
        if not self.name or "+" in self.name or any(character.isspace() for character in self.name):
            raise NoteError(f"key name {shown(self.name)}: must be non-empty, without blanks and plus signs")

    @cached_property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name ‖ newline ‖ type ‖ key): tells keys apart, proves nothing."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._typed).digest()[:KEY_ID_BYTES]

    @property
    def _typed(self) -> bytes:
        return self.algorithm + self.public_key.public_bytes_raw()

    def signed(self, signature: bytes, text: str) -> bool:
        """Whether ``signature`` (what follows the key id in a line) is this key's over the text of a note."""
        return signed(self.public_key, signature, text.encode())

    def encode(self) -> str:
        """``<name>+<key id in hex>+<type and key in base64>``: the form in which verifiers are configured."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(self._typed).decode()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `encode`. Raises NoteError."""
        name, _, rest = text.partition("+")
        try:
            typed = b64decode(rest.partition("+")[2])
            key = cls(name, strict_public_key(typed[1:]))
        except ValueError:
            raise NoteError(f"{shown(text)}: not a note verifier key") from None
        if key.encode() != text:
            raise NoteError(f"{shown(text)}: its key id or type is not that of such an Ed25519 key of this name")
        return key


def sign_note(text: str, name: str, *keys: SigningKey) -> bytes:
    """``text`` (ending in a newline) with a signature line of each key. Raises NoteError for a text that a note cannot hold."""
    _check_text(text)
    lines = [SignatureLine(name, NoteKey(name, key.public_key).key_id, key.sign(text.encode())) for key in keys]
    return "".join([text, "\n", *(f"{line.text}\n" for line in lines)]).encode()


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature of a note: whose it says it is, and what follows the key id."""

    name: str
    key_id: bytes
    signature: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """``— <name> <base64>``, without the newline."""
        return f"{PREFIX}{self.name} {b64encode(self.key_id + self.signature).decode()}"


def open_note(note: bytes, keys: Sequence[NoteKey]) -> str:
    """The text of a note that at least one of ``keys`` signed. Raises NoteError."""
    text, lines = split_note(note)
    if not signers_of(text, lines, keys):
        raise NoteError(
            f"none of {len(keys)} trusted keys signed this note",
            code="NOTE_UNSIGNED",
            hint="check that you hold the key of this log",
        )
    return text


def signers_of(text: str, lines: Sequence[SignatureLine], keys: Sequence[NoteKey]) -> tuple[SignatureLine, ...]:
    """The lines that one of ``keys`` signed. Raises NoteError for one that carries such a key's name over a bad signature."""
    known = {(key.name, key.key_id): key for key in keys}
    found = []
    for line in lines:
        key = known.get((line.name, line.key_id))
        if key is None:
            continue
        if not key.signed(line.signature, text):
            raise NoteError(
                f"the signature of {shown(line.name)} does not match the text",
                code="NOTE_SIGNATURE_INVALID",
                hint="the note was changed after signing; do not rely on it",
            )
        found.append(line)
    return tuple(found)


def split_note(note: bytes) -> tuple[str, tuple[SignatureLine, ...]]:
    """Text and signature lines, whoever signed. Raises NoteError NOTE_MALFORMED."""
    text, lines = _split(note)
    return text, tuple(_parse_signature(line) for line in lines)


def _split(note: bytes) -> tuple[str, list[str]]:
    """Text and signature lines: they are parted by the last empty line."""
    if len(note) > MAX_NOTE_BYTES:
        raise NoteError(f"{len(note)} bytes, more than {MAX_NOTE_BYTES}")
    try:
        whole = note.decode()
    except UnicodeDecodeError as error:
        raise NoteError(f"not UTF-8 at byte {error.start}") from None
    head, parted, tail = whole.rpartition("\n\n")
    if not parted or not tail.endswith("\n"):
        raise NoteError("no signatures after a blank line, each ending in a newline")
    text = head + "\n"
    _check_text(text)
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"{len(lines)} signatures, more than {MAX_SIGNATURES}")
    return text, lines


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteError("the text of a note ends in a newline")
    if len(text.translate(_WITHOUT_CONTROLS)) != len(text):
        raise NoteError("a note has no control characters but newlines")


def _parse_signature(line: str) -> SignatureLine:
    """A line ``— <name> <base64>``."""
    name, _, encoded = line.removeprefix(PREFIX).partition(" ")
    try:
        signature = b64decode(encoded)
    except ValueError:
        signature = b""
    if (
        not line.startswith(PREFIX)
        or not name
        or len(signature) <= KEY_ID_BYTES
        or b64encode(signature).decode() != encoded
    ):
        raise NoteError(f"{shown(line)}: not a signature line")
    return SignatureLine(name, signature[:KEY_ID_BYTES], signature[KEY_ID_BYTES:])
