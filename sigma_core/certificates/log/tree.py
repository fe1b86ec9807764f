"""A tree of a given size over tile files: its root, its proofs, and the check of one tree against a later one.

Merkle tree, PATH and PROOF: RFC 6962, section 2.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from sigma_core.assembly.merkle import node_hash
from sigma_core.certificates.log.refusals import LogError
from sigma_core.certificates.log.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    entries_path,
    split_entries,
    split_hashes,
    subtree_rows,
    tile_path,
    tile_spans,
)

EMPTY_ROOT = hashlib.sha256().digest()

Read = Callable[[str], bytes | None]
"""The bytes of a file of the log by its path, or None where there is none."""


@dataclass(frozen=True)
class TiledTree:
    """The first ``size`` entries of a log whose files ``read`` gives. Reads each tile once and keeps it (about 40 KB).

    Every method raises LogError when a file that it needs is missing or has a wrong length. Whether the hashes in them are
    right shows only by comparing `root` with a signed checkpoint.
    """

    size: int
    read: Read = field(repr=False)
    _known: dict[tuple[int, int], list[list[bytes]]] = field(default_factory=dict, init=False, repr=False)

    def root(self, size: int | None = None) -> bytes:
        """MTH(D[0:size]), of the whole tree or of an earlier size. Raises IndexError beyond the tree."""
        size = self.size if size is None else size
        if not 0 <= size <= self.size:
            raise IndexError(f"no tree of {size} in a log of {self.size}")
        return self._range_root(0, size) if size else EMPTY_ROOT

    def leaf(self, index: int) -> bytes:
        """The leaf hash of entry ``index``. Raises IndexError when there is none."""
        if not 0 <= index < self.size:
            raise IndexError(f"no entry {index} in a log of {self.size}")
        return self.tile(0, index // TILE_WIDTH)[index % TILE_WIDTH]

    def inclusion_proof(self, index: int) -> tuple[bytes, ...]:
        """PATH(index, D[0:size]): sibling hashes from the leaf up. Raises IndexError when there is no such entry."""
        if not 0 <= index < self.size:
            raise IndexError(f"no entry {index} in a log of {self.size}")
        begin, end, siblings = 0, self.size, []
        while end - begin > 1:
            middle = begin + _left_size(end - begin)
            if index < middle:
                siblings.append((middle, end))
                end = middle
            else:
                siblings.append((begin, middle))
                begin = middle
        return tuple(self._range_root(*span) for span in reversed(siblings))

    def consistency_proof(self, old_size: int) -> tuple[bytes, ...]:
        """PROOF(old_size, D[0:size]); empty for the empty and for the same tree. Raises IndexError beyond the tree."""
        if not 0 <= old_size <= self.size:
            raise IndexError(f"no earlier tree of {old_size} in a log of {self.size}")
        if old_size in (0, self.size):
            return ()
        begin, end, spans = 0, self.size, []
        while old_size != end:
            middle = begin + _left_size(end - begin)
            if old_size <= middle:
                spans.append((middle, end))
                end = middle
            else:
                spans.append((begin, middle))
                begin = middle
        if begin:  # at 0 this is the old root itself, which the verifier has
            spans.append((begin, end))
        return tuple(self._range_root(*span) for span in reversed(spans))

    def entries(self, first: int = 0) -> Iterator[bytes]:
        """The entries in order, from the bundle that holds entry ``first``."""
        for index, width in tile_spans(first, self.size):
            bundle, path, held = self._file(entries_path, index, width)
            yield from split_entries(bundle, held, path)[:width]

    def tile(self, level: int, index: int) -> list[bytes]:
        """The hashes of a tile, as many as a tree of this size has in it."""
        return self._rows(level, index)[0]

    def _range_root(self, begin: int, end: int) -> bytes:
        """MTH(D[begin:end]) for a range that RFC 6962 makes: ``begin`` is a multiple of the next power of two."""
        subtrees = []
        while begin < end:
            height = (end - begin).bit_length() - 1
            subtrees.append(self._node(height, begin >> height))
            begin += 1 << height
        root = subtrees.pop()
        while subtrees:
            root = node_hash(subtrees.pop(), root)
        return root

    def _node(self, height: int, index: int) -> bytes:
        """Root of the complete subtree over entries [index·2^height, (index + 1)·2^height)."""
        level, above = divmod(height, TILE_HEIGHT)
        tile, within = divmod(index, TILE_WIDTH >> above)
        return self._rows(level, tile)[above][within]

    def _rows(self, level: int, index: int) -> list[list[bytes]]:
        """A tile's hashes and, row by row above them, the complete subtrees that they make."""
        if (level, index) not in self._known:
            width = min(TILE_WIDTH, (self.size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH)
            data, path, held = self._file(partial(tile_path, level), index, width)
            self._known[level, index] = subtree_rows(split_hashes(data, held, path)[:width])
        return self._known[level, index]

    def _file(self, name: Callable[[int, int], str], index: int, width: int) -> tuple[bytes, str, int]:
        """A file, its path, and its width: a partial one that a longer log has done away with is the start of the full one."""
        for held in (width, TILE_WIDTH):
            data = self.read(name(index, held))
            if data is not None:
                return data, name(index, held), held
        raise LogError(f"{name(index, width)}: missing from a log of {self.size} entries", code="LOG_FILE_MISSING")


def _left_size(size: int) -> int:
    """Largest power of two below ``size``: where RFC 6962 splits a tree."""
    return 1 << (size - 1).bit_length() - 1


def verify_consistency(old_size: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes) -> bool:
    """Whether the tree of ``size`` with ``root`` begins with the tree of ``old_size`` with ``old_root``.

    Rebuilds both roots from the proof along the recursion that made it (RFC 6962, SUBPROOF).
    """
    if not 0 <= old_size <= size:
        return False
    if old_size == 0:
        return old_root == EMPTY_ROOT and not proof and (size > 0 or root == EMPTY_ROOT)
    hashes = list(proof)

    def rebuild(old: int, new: int, is_old_tree: bool) -> tuple[bytes, bytes]:
        if old == new:
            whole = old_root if is_old_tree else hashes.pop()
            return whole, whole
        left = _left_size(new)
        sibling = hashes.pop()
        if old <= left:
            before, after = rebuild(old, left, is_old_tree)
            return before, node_hash(after, sibling)
        before, after = rebuild(old - left, new - left, False)
        return node_hash(sibling, before), node_hash(sibling, after)

    try:
        return rebuild(old_size, size, True) == (old_root, root) and not hashes
    except IndexError:  # the proof is too short
        return False
