"""The transparency log on one core: appending, proving, checking, publishing, beside the SHA-256 that it cannot do without.

./sigma bench transparency_log
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sigma_core.assembly.merkle import verify_inclusion
from sigma_core.certificates.log.append import append, audit
from sigma_core.certificates.log.checkpoint import Checkpoint
from sigma_core.certificates.log.folder import LogFolder
from sigma_core.certificates.log.tree import EMPTY_ROOT, TiledTree, verify_consistency
from tests.sigma_core.certificates.certificate_samples import LOG_KEY, ORIGIN

ENTRIES = 200_000
BATCH = 1_000
PROOFS = 2_000
ON_DISK = 20_000


def main() -> None:
    """Grow a log in batches, then prove entries and earlier sizes spread over all of it; then one on the disk."""
    files: dict[str, bytes] = {}
    entries = [b"certificate %d " % number + bytes(450) for number in range(ENTRIES)]
    roots = {0: EMPTY_ROOT}

    def grow() -> None:
        size, root = 0, EMPTY_ROOT
        for start in range(0, ENTRIES, BATCH):
            appended = append(TiledTree(size, files.get), root, entries[start : start + BATCH])
            files.update(appended.files)
            size, root = appended.size, appended.root
            roots[size] = root

    hashing = _cpu_seconds(lambda: [hashlib.sha256(b"\x00" + entry).digest() for entry in entries])
    print(f"{ENTRIES:,} entries of about 470 bytes, {BATCH:,} to a checkpoint; CPU time, one core")
    _print("SHA-256 of the entries alone", ENTRIES, hashing)
    _print("append", ENTRIES, _cpu_seconds(grow))
    tree = TiledTree(ENTRIES, files.get)
    some = range(0, ENTRIES, ENTRIES // PROOFS)
    proofs = [tree.inclusion_proof(index) for index in some]
    _print("inclusion proof, tiles read", PROOFS, _cpu_seconds(lambda: [tree.inclusion_proof(index) for index in some]))
    _print(
        "inclusion proof, from the files",
        100,
        _cpu_seconds(lambda: [TiledTree(ENTRIES, files.get).inclusion_proof(index) for index in some[:100]]),
    )
    _print("check an inclusion proof", PROOFS, _cpu_seconds(lambda: _check(entries, some, proofs, roots[ENTRIES])))
    sizes = list(roots)[1:-1]
    _print("consistency proof and check", len(sizes), _cpu_seconds(lambda: _consistent(tree, sizes, roots)))
    _print("root of an earlier checkpoint", len(sizes), _cpu_seconds(lambda: [tree.root(size) for size in sizes]))
    _print(
        "audit of the whole log", ENTRIES, _cpu_seconds(lambda: audit(TiledTree(ENTRIES, files.get), roots[ENTRIES]))
    )
    print(f"on the disk, durable (fsync), wall time; {ON_DISK:,} entries")
    for batch in (1, 100, 1_000):
        count = min(ON_DISK, batch * 50)
        seconds = _publish(entries[:count], batch)
        _print(f"append and publish by {batch:,}", count, seconds)


def _publish(entries: list[bytes], batch: int) -> float:
    """Wall seconds to append ``entries`` in batches, each durable and under a checkpoint of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder, size, root = LogFolder(Path(place)), 0, EMPTY_ROOT
        started = time.perf_counter()
        for start in range(0, len(entries), batch):
            with folder.lock():
                appended = append(TiledTree(size, folder.read), root, entries[start : start + batch])
                folder.write(appended.files)
                size, root = appended.size, appended.root
                folder.publish(Checkpoint(ORIGIN, size, root).sign(LOG_KEY))
                folder.drop_superseded(appended.files)
        return time.perf_counter() - started


def _check(entries: list[bytes], indices: range, proofs: list[tuple[bytes, ...]], root: bytes) -> None:
    for index, proof in zip(indices, proofs, strict=True):
        if not verify_inclusion(entries[index], index, ENTRIES, proof, root):
            raise AssertionError(f"entry {index} is not proved")


def _consistent(tree: TiledTree, sizes: list[int], roots: dict[int, bytes]) -> None:
    for size in sizes:
        if not verify_consistency(size, ENTRIES, tree.consistency_proof(size), roots[size], roots[ENTRIES]):
            raise AssertionError(f"size {size} is not consistent")


def _cpu_seconds(step: Callable[[], object]) -> float:
    started = time.process_time()
    step()
    return time.process_time() - started


def _print(name: str, count: int, seconds: float) -> None:
    print(f"{name:32} {count / seconds:>12,.0f} /s   {seconds / count * 1e6:8.1f} µs")


if __name__ == "__main__":
    main()
