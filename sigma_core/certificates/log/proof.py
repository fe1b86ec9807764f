"""An offline proof that an entry is in a log: its index, the siblings up to the root, and the signed checkpoint.

Format: c2sp.org/tlog-proof@v1, a text. Ours carry no extra data, and proofs that do are refused: nothing would vouch for it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sigma_core.assembly.merkle import verify_inclusion
from sigma_core.certificates.log.checkpoint import MAX_SIZE_DIGITS, ROOT_BYTES, Checkpoint
from sigma_core.certificates.log.note import MAX_NOTE_BYTES, NoteKey, SignatureLine, signers_of, split_note
from sigma_core.certificates.log.refusals import NoteError
from sigma_core.certificates.refusals import shown

HEADER = "c2sp.org/tlog-proof@v1"
MAX_HASHES = 64
MAX_PROOF_BYTES = MAX_NOTE_BYTES + 4096


@dataclass(frozen=True)
class LogProof:
    """Entry ``index`` is in the tree of ``note``, a checkpoint, by the sibling ``hashes`` (32 bytes each, leaf first).

    What reads the note raises NoteError where it is none.
    """

    index: int
    hashes: tuple[bytes, ...] = field(repr=False)
    note: bytes = field(repr=False)

    @cached_property
    def _split(self) -> tuple[str, tuple[SignatureLine, ...]]:
        return split_note(self.note)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """What the note says; whose it is, is another question (`signers`)."""
        return Checkpoint.parse(self._split[0])

    def signers(self, keys: Sequence[NoteKey]) -> tuple[SignatureLine, ...]:
        """The lines that one of ``keys`` signed. Raises NoteError for a bad signature in such a key's name."""
        return signers_of(*self._split, keys)

    def proves(self, entry: bytes) -> bool:
        """Whether ``entry`` is the one at ``index`` of the checkpoint's tree."""
        checkpoint = self.checkpoint
        return verify_inclusion(entry, self.index, checkpoint.size, self.hashes, checkpoint.root)

    def to_text(self) -> str:
        """The text, ending in a newline."""
        siblings = "".join(f"{b64encode(each).decode()}\n" for each in self.hashes)
        return f"{HEADER}\nindex {self.index}\n{siblings}\n{self.note.decode()}"

    @classmethod
    def parse(cls, text: str) -> LogProof:
        """The proof in ``text``, form only. Raises NoteError."""
        if len(text) > MAX_PROOF_BYTES:
            raise NoteError(f"a proof of {len(text)} characters, more than {MAX_PROOF_BYTES}")
        head, parted, note = text.partition("\n\n")
        lines = head.split("\n", MAX_HASHES + 2)
        if not parted or lines[0] != HEADER or len(lines) < 2:
            raise NoteError(f"{shown(text)}: not a proof of the form {HEADER}")
        if len(lines) > MAX_HASHES + 2:
            raise NoteError(f"a proof of more than {MAX_HASHES} hashes")
        word, _, digits = lines[1].partition(" ")
        if word != "index" or not digits.isascii() or not digits.isdecimal() or len(digits) > MAX_SIZE_DIGITS:
            raise NoteError(f"{shown(lines[1])}: not the index of an entry")
        try:
            proof = cls(int(digits), _hashes(lines[2:]), note.encode())
        except ValueError:
            raise NoteError("a line of the proof is not a hash in base64") from None
        if proof.to_text() != text:
            raise NoteError("a proof that is not in the one form of its content")
        _ = proof.checkpoint
        return proof


def _hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    hashes = tuple(b64decode(line) for line in lines)
    if any(len(each) != ROOT_BYTES for each in hashes):
        raise ValueError("another length")
    return hashes
