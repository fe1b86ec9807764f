"""Checkpoints: what a log was at one size, signed, so that it cannot show different people different histories.

Format: c2sp.org/tlog-checkpoint. The key's name is the log's origin. Our checkpoints have no extension lines.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sigma_core.certificates.log.note import NoteKey, open_note, sign_note, split_note
from sigma_core.certificates.log.refusals import LogError, NoteError
from sigma_core.certificates.log.tree import verify_consistency
from sigma_core.certificates.refusals import shown

if TYPE_CHECKING:  # a verifier never loads what handles secret keys
    from sigma_core.certificates.signing_key import SigningKey

ROOT_BYTES = 32
MAX_SIZE_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The first ``size`` entries of the log ``origin`` have the Merkle root ``root`` (32 bytes)."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    def sign(self, *keys: SigningKey) -> bytes:
        """The checkpoint as a note, signed in the name of the origin by each of ``keys``."""
        return sign_note(self.text, self.origin, *keys)

    @classmethod
    def open(cls, note: bytes, *keys: NoteKey) -> Checkpoint:
        """The checkpoint in ``note`` when one of ``keys``, whose name is the origin, signed it. Raises NoteError."""
        checkpoint = cls.read(note)
        names = sorted({key.name for key in keys} - {checkpoint.origin})
        if names:
            raise NoteError(f"a checkpoint of {shown(checkpoint.origin)}, not of {shown(names[0])}")
        open_note(note, keys)
        return checkpoint

    @classmethod
    def read(cls, note: bytes) -> Checkpoint:
        """What ``note`` says, whoever signed it. Raises NoteError."""
        return cls.parse(split_note(note)[0])

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The checkpoint in the text of a note. Raises NoteError."""
        lines = text.split("\n")
        if len(lines) != 4 or not lines[0]:
            raise NoteError("a checkpoint has three lines: origin, size, root")
        origin, digits, encoded, _ = lines
        if not digits.isascii() or not digits.isdecimal() or len(digits) > MAX_SIZE_DIGITS:
            raise NoteError(f"tree size {shown(digits)}: not a decimal number")
        try:
            checkpoint = cls(origin, int(digits), b64decode(encoded))
        except ValueError:
            raise NoteError(f"root {shown(encoded)}: not base64") from None
        if len(checkpoint.root) != ROOT_BYTES or checkpoint.text != text:
            raise NoteError("the tree size has leading zeros, or the root is not 32 bytes in standard base64")
        return checkpoint


def check_same_history(one: Checkpoint, other: Checkpoint, proof: Sequence[bytes]) -> None:
    """Whether the longer of two checkpoints of a log begins with the shorter, by a consistency proof (empty for equal sizes).

    Raises LogError LOG_SPLIT_VIEW: such a pair is evidence that its log showed two people two histories, so keep both notes.
    """
    earlier, later = sorted((one, other), key=lambda checkpoint: checkpoint.size)
    if earlier.origin != later.origin:
        raise LogError(f"checkpoints of two logs: {shown(earlier.origin)} and {shown(later.origin)}")
    if not verify_consistency(earlier.size, later.size, proof, earlier.root, later.root):
        raise LogError(
            f"the log {shown(later.origin)} of {later.size} entries does not begin with its own {earlier.size} entries",
            code="LOG_SPLIT_VIEW",
            hint="keep both checkpoints: together they prove it",
        )
