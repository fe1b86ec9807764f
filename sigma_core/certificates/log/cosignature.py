"""Cosignatures: a witness's word that, at a time, a checkpoint was the longest consistent one that it had seen of a log.

Formats: c2sp.org/tlog-cosignature (Ed25519, type 4) and the request of c2sp.org/tlog-witness. Our log runs without witnesses; theirs
are asked for, checked and kept once their keys are in the key set.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from sigma_core.certificates.ed25519 import SIGNATURE_BYTES, signed
from sigma_core.certificates.log.note import NoteKey, SignatureLine, signers_of, split_note
from sigma_core.certificates.log.refusals import NoteError

TIMESTAMP_BYTES = 8
LATEST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z: the last second that a date can name."""


@dataclass(frozen=True)
class WitnessKey(NoteKey):
    """The public key of a witness."""

    algorithm: ClassVar[bytes] = b"\x04"

    def signed(self, signature: bytes, text: str) -> bool:
        """Whether ``signature`` (eight bytes of time, then Ed25519) is this witness's over a checkpoint's text."""
        seconds = int.from_bytes(signature[:TIMESTAMP_BYTES], "big")
        if len(signature) != TIMESTAMP_BYTES + SIGNATURE_BYTES or seconds > LATEST_SECOND:
            return False
        return signed(self.public_key, signature[TIMESTAMP_BYTES:], cosigned_message(seconds, text))


@dataclass(frozen=True, slots=True)
class Cosignature:
    """The witness of this name saw the checkpoint at this time."""

    witness: str
    at: datetime

    @classmethod
    def of(cls, line: SignatureLine) -> Cosignature:
        """What a line says that a `WitnessKey` signed."""
        return cls(line.name, datetime.fromtimestamp(int.from_bytes(line.signature[:TIMESTAMP_BYTES], "big"), UTC))


def cosigned_message(seconds: int, text: str) -> bytes:
    """What a witness signs: ``seconds`` since 1970, and the text of the checkpoint."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def add_cosignatures(note: bytes, answer: bytes, witnesses: Sequence[WitnessKey]) -> bytes:
    """``note`` with the signature lines in a witness's ``answer`` that are new. Raises NoteError unless each is of ``witnesses``."""
    text, lines = split_note(note)
    _, added = split_note(text.encode() + b"\n" + answer)
    if len(signers_of(text, added, witnesses)) != len(added):
        raise NoteError("a cosignature of a witness whose key is not in the key set", code="NOTE_UNSIGNED")
    held = {line.text for line in lines}
    fresh: list[SignatureLine] = [line for line in added if line.text not in held]
    longer = note + "".join(f"{line.text}\n" for line in fresh).encode()
    split_note(longer)  # the limits of a note hold for the longer one too
    return longer


def witness_request(note: bytes, old_size: int, proof: Sequence[bytes]) -> bytes:
    """The body of ``add-checkpoint``: the size that the witness knows, the consistency proof from it, the checkpoint."""
    hashes = "".join(f"{b64encode(each).decode()}\n" for each in proof)
    return f"old {old_size}\n{hashes}\n".encode() + note
