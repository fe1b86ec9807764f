"""Growing a log and checking one: the files that new entries make, and the whole recomputed from its entries.

Nothing here writes. A crash while the returned files are written leaves the old tree whole, because partial files of another
size have other names and full ones never change; a new checkpoint is published after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sigma_core.assembly.merkle import leaf_hash
from sigma_core.certificates.log.refusals import LogError
from sigma_core.certificates.log.tiles import (
    TILE_WIDTH,
    entries_path,
    full_tile_root,
    pack_entries,
    tile_path,
    tile_spans,
)
from sigma_core.certificates.log.tree import TiledTree


@dataclass(frozen=True)
class Appended:
    """A longer tree: its size and root, and the files to write, in order, before its checkpoint is published."""

    size: int
    root: bytes
    files: dict[str, bytes] = field(repr=False)


def append(tree: TiledTree, root: bytes, entries: Sequence[bytes]) -> Appended:
    """``tree`` with ``entries`` after its own. The same arguments give the same files, so a crash is mended by a repetition.

    ``root`` is that of the last signed checkpoint: raises LogError when the files do not give it, before anything is built on
    them.
    """
    if tree.root() != root:
        raise LogError(f"the files of {tree.size} entries do not have the root of the checkpoint: nothing was appended")
    size = tree.size + len(entries)
    files: dict[str, bytes] = {}
    if not entries:
        return Appended(size, root, files)
    known = tree.size % TILE_WIDTH
    texts = [*(tree.entries(tree.size) if known else ()), *entries]
    for index, width in tile_spans(tree.size, size):
        start = index * TILE_WIDTH - (tree.size - known)
        files[entries_path(index, width)] = pack_entries(texts[start : start + width])
    level, old, new = 0, tree.size, size
    hashes = [leaf_hash(entry) for entry in entries]
    while hashes:
        known = old % TILE_WIDTH
        row = (tree.tile(level, old // TILE_WIDTH) if known else []) + hashes
        full: list[bytes] = []
        for index, width in tile_spans(old, new):
            start = index * TILE_WIDTH - (old - known)
            tile = row[start : start + width]
            files[tile_path(level, index, width)] = b"".join(tile)
            if width == TILE_WIDTH:
                full.append(full_tile_root(tile))
        level, old, new, hashes = level + 1, old // TILE_WIDTH, new // TILE_WIDTH, full
    return Appended(size, TiledTree(size, lambda path: files.get(path) or tree.read(path)).root(), files)


def audit(tree: TiledTree, root: bytes) -> None:
    """Recompute the whole tree from its entries: every tile of every level, and the root. Raises LogError naming the file."""
    hashes = [leaf_hash(entry) for entry in tree.entries()]
    level = 0
    while hashes:
        full = []
        for index, width in tile_spans(0, len(hashes)):
            tile = hashes[index * TILE_WIDTH : index * TILE_WIDTH + width]
            if tree.tile(level, index) != tile:
                raise LogError(f"{tile_path(level, index, width)}: not the hashes of what is below it")
            if width == TILE_WIDTH:
                full.append(full_tile_root(tile))
        level, hashes = level + 1, full
    if tree.root() != root:
        raise LogError(f"the {tree.size} entries do not have the root of the checkpoint")
