"""Tiles and entry bundles: how a tree of any size lies in static files.

Format: c2sp.org/tlog-tiles. A tile is up to 256 consecutive hashes of one level; level 0 holds leaf hashes, and each hash of
a higher level is the root of one *full* tile below. An entry bundle holds the up to 256 entries of a level-0 tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sigma_core.assembly.merkle import node_hash
from sigma_core.certificates.log.refusals import LogError

TILE_WIDTH = 256
TILE_HEIGHT = 8
HASH_BYTES = 32
MAX_ENTRY_BYTES = 2**16 - 1
"""Entries are prefixed with their length in 16 bits."""


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """``tile/<L>/<N>[.p/<W>]``: the file of tile ``index`` of ``level`` with ``width`` hashes (full by default)."""
    return f"tile/{level}/{_index_path(index)}{_partial(width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """``tile/entries/<N>[.p/<W>]``: the file of the entries under level-0 tile ``index``."""
    return f"tile/entries/{_index_path(index)}{_partial(width)}"


def _index_path(index: int) -> str:
    """1234067 is ``x001/x234/067``: three digits a folder, and no folder has the name of a file."""
    groups = []
    while True:
        index, last = divmod(index, 1000)
        groups.append(f"{last:03}")
        if not index:
            break
    return "/".join([f"x{group}" for group in reversed(groups[1:])] + groups[:1])


def _partial(width: int) -> str:
    assert 1 <= width <= TILE_WIDTH
    return "" if width == TILE_WIDTH else f".p/{width}"


def tile_spans(first: int, last: int) -> Iterator[tuple[int, int]]:
    """(index, width) of every tile that holds one of the hashes ``first`` to ``last - 1`` of a level of ``last`` hashes."""
    for index in range(first // TILE_WIDTH, -(-last // TILE_WIDTH)):
        yield index, min(TILE_WIDTH, last - index * TILE_WIDTH)


def split_hashes(tile: bytes, width: int, path: str) -> list[bytes]:
    """The hashes of a tile file. Raises LogError when it does not hold exactly ``width``."""
    if len(tile) != width * HASH_BYTES:
        raise LogError(f"{path}: {len(tile)} bytes, but {width} hashes are {width * HASH_BYTES}")
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """An entry bundle: each entry after its length in two bytes, big-endian. Raises LogError for one that is too long."""
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise LogError(f"an entry of {len(entry)} bytes, more than {MAX_ENTRY_BYTES}", code="LOG_ENTRY_TOO_LARGE")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def split_entries(bundle: bytes, width: int, path: str) -> list[bytes]:
    """The entries of an entry bundle. Raises LogError when it does not hold exactly ``width``, to the last byte."""
    entries: list[bytes] = []
    at = 0
    for _ in range(width):
        start = at + 2
        at = start + int.from_bytes(bundle[at:start], "big")
        if start > len(bundle) or at > len(bundle):
            raise LogError(f"{path}: ends inside entry {len(entries)} of {width}")
        entries.append(bundle[start:at])
    if at != len(bundle):
        raise LogError(f"{path}: {len(bundle) - at} bytes after the last of {width} entries")
    return entries


def subtree_rows(hashes: Sequence[bytes]) -> list[list[bytes]]:
    """``hashes`` and, row by row, the roots of the complete subtrees over 2, 4, 8 … of them; an odd last one has none."""
    rows = [list(hashes)]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)])
    return rows


def full_tile_root(hashes: Sequence[bytes]) -> bytes:
    """Root over the 256 hashes of a full tile."""
    return subtree_rows(hashes)[TILE_HEIGHT][0]
