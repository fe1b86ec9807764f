"""Whether checkpoints of a log tell one history. The log's files prove it; they may be anybody's copy, and are not trusted."""

from __future__ import annotations

from collections.abc import Sequence

from sigma_core.certificates.log.checkpoint import Checkpoint
from sigma_core.certificates.log.folder import CHECKPOINT
from sigma_core.certificates.log.note import NoteKey
from sigma_core.certificates.log.refusals import LogError
from sigma_core.certificates.log.tree import Read, TiledTree, verify_consistency


def contradiction(checkpoints: Sequence[Checkpoint]) -> tuple[Checkpoint, Checkpoint] | None:
    """Two of ``checkpoints`` that have one size and different roots, if there are any: that needs no proof."""
    by_size: dict[int, Checkpoint] = {}
    for checkpoint in checkpoints:
        first = by_size.setdefault(checkpoint.size, checkpoint)
        if first.root != checkpoint.root:
            return first, checkpoint
    return None


def newest_of(read: Read, keys: Sequence[NoteKey]) -> Checkpoint:
    """The checkpoint of the log whose files ``read`` gives. Raises NoteError, or LogError where there is none."""
    note = read(CHECKPOINT)
    if note is None:
        raise LogError(f"{CHECKPOINT}: missing from the log's files", code="LOG_FILE_MISSING")
    return Checkpoint.open(note, *keys)


def begins_with(newest: Checkpoint, earlier: Checkpoint, read: Read) -> bool:
    """Whether the tree of ``newest`` begins with that of ``earlier``, by a consistency proof (RFC 6962, section 2.1.2) made from the
    files that ``read`` gives.

    False is proved too: the files then show which root ``newest`` has at that size. Raises LogError when they show neither,
    because they do not reach that far or are not whole.
    """
    if earlier.size > newest.size:
        raise LogError(f"the log's files end at {newest.size} entries, before {earlier.size}")
    tree = TiledTree(newest.size, read)
    proof = tree.consistency_proof(earlier.size)
    if verify_consistency(earlier.size, newest.size, proof, earlier.root, newest.root):
        return True
    if not verify_consistency(earlier.size, newest.size, proof, tree.root(earlier.size), newest.root):
        raise LogError(f"the log's files are not those of its checkpoint of {newest.size} entries")
    return False
