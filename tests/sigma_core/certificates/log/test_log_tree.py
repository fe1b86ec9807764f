"""The log's tree: RFC 6962 hashes and proofs over C2SP tiles, checked against trees that are written out by hand."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_samples import MemoryLog, numbered

from sigma_core.assembly.merkle import inclusion_proof, merkle_root, verify_inclusion
from sigma_core.certificates.log.append import append, audit
from sigma_core.certificates.log.refusals import LogError
from sigma_core.certificates.log.tiles import entries_path, pack_entries, split_entries, tile_path
from sigma_core.certificates.log.tree import EMPTY_ROOT, TiledTree, verify_consistency


def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


# The tree of seven entries in RFC 6962, section 2.1.3, node by node.
D = [b"d%d" % number for number in range(7)]
A, B, C, D_, E, F, J = (leaf(entry) for entry in D)
G, H, I = node(A, B), node(C, D_), node(E, F)  # noqa: E741
K, L = node(G, H), node(I, J)
ROOT = node(K, L)


def seven() -> MemoryLog:
    log = MemoryLog()
    log.grow(*D)
    return log


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert TiledTree(0, {}.get).root() == hashlib.sha256(b"").digest() == EMPTY_ROOT


@pytest.mark.parametrize(
    ("size", "root"),
    [(1, A), (2, G), (3, node(G, C)), (4, K), (5, node(K, E)), (6, node(K, I)), (7, ROOT)],
)
def test_roots_of_small_trees(size: int, root: bytes) -> None:
    log = MemoryLog()
    assert log.grow(*D[:size]).root == root


@pytest.mark.parametrize(
    ("index", "proof"),
    [(0, (B, H, L)), (3, (C, G, L)), (4, (F, J, K)), (6, (I, K))],
)
def test_inclusion_proofs_of_the_rfc_example(index: int, proof: tuple[bytes, ...]) -> None:
    assert seven().tree().inclusion_proof(index) == proof


@pytest.mark.parametrize(
    ("old_size", "proof"),
    [(0, ()), (1, (B, H, L)), (2, (H, L)), (3, (C, D_, G, L)), (4, (L,)), (5, (E, F, J, K)), (6, (I, J, K)), (7, ())],
)
def test_consistency_proofs_of_the_rfc_example(old_size: int, proof: tuple[bytes, ...]) -> None:
    assert seven().tree().consistency_proof(old_size) == proof


def test_every_entry_of_every_small_tree_is_proved_as_the_plain_tree_proves_it() -> None:
    log, entries = MemoryLog(), numbered(40)
    for size in range(1, 41):
        log.grow(entries[size - 1])
        assert log.root == merkle_root(entries[:size])
        for index in range(size):
            proof = log.tree().inclusion_proof(index)
            assert proof == inclusion_proof(entries[:size], index)
            assert verify_inclusion(entries[index], index, size, proof, log.root)


def test_every_checkpoint_is_consistent_with_every_earlier_one() -> None:
    log, roots = MemoryLog(), [EMPTY_ROOT]
    for entry in numbered(34):
        log.grow(entry)
        roots.append(log.root)
    for size, root in enumerate(roots):
        for old_size, old_root in enumerate(roots[: size + 1]):
            proof = log.tree(size).consistency_proof(old_size)
            assert verify_consistency(old_size, size, proof, old_root, root)


@given(st.data())
def test_a_consistency_proof_with_any_change_fails(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 40))
    old_size = data.draw(st.integers(1, size - 1))
    log = MemoryLog()
    log.grow(*numbered(old_size))
    old_root = log.root
    log.grow(*numbered(size - old_size, old_size))
    proof = list(log.tree().consistency_proof(old_size))
    position = data.draw(st.integers(0, len(proof) - 1))
    flipped = [*proof]
    flipped[position] = bytes([proof[position][0] ^ 1]) + proof[position][1:]
    assert verify_consistency(old_size, size, proof, old_root, log.root)
    assert not verify_consistency(old_size, size, flipped, old_root, log.root)
    assert not verify_consistency(old_size, size, proof[:position] + proof[position + 1 :], old_root, log.root)
    assert not verify_consistency(old_size, size, [*proof, proof[0]], old_root, log.root)
    assert not verify_consistency(old_size, size, proof, log.root, log.root)
    assert not verify_consistency(old_size, size, proof, old_root, old_root)


@pytest.mark.parametrize(
    ("old_size", "size", "old_root", "root", "consistent"),
    [
        (0, 0, EMPTY_ROOT, EMPTY_ROOT, True),
        (0, 5, EMPTY_ROOT, ROOT, True),
        (0, 5, ROOT, ROOT, False),
        (0, 0, EMPTY_ROOT, ROOT, False),
        (7, 7, ROOT, ROOT, True),
        (7, 7, ROOT, A, False),
        (7, 6, ROOT, A, False),
        (-1, 6, ROOT, A, False),
    ],
)
def test_consistency_at_the_edges(old_size: int, size: int, old_root: bytes, root: bytes, consistent: bool) -> None:
    assert verify_consistency(old_size, size, [], old_root, root) == consistent


@pytest.mark.parametrize(("old_size", "size"), [(-1, 6), (7, 6), (3, -3), (2**63, 4)])
def test_impossible_sizes_are_inconsistent_whatever_the_proof(old_size: int, size: int) -> None:
    assert not verify_consistency(old_size, size, [A] * 100, ROOT, ROOT)


def test_a_log_that_rewrote_its_past_has_no_proof() -> None:
    """Split view: two histories of one size."""
    honest, forked = MemoryLog(), MemoryLog()
    honest.grow(*numbered(9))
    old_root = honest.root
    forked.grow(b"another", *numbered(20, 1))
    proof = forked.tree().consistency_proof(9)
    assert not verify_consistency(9, 21, proof, old_root, forked.root)


@pytest.mark.parametrize("index", [-1, 7, 8])
def test_there_is_no_proof_for_what_is_not_there(index: int) -> None:
    with pytest.raises(IndexError):
        seven().tree().inclusion_proof(index)
    with pytest.raises(IndexError):
        seven().tree().leaf(index)
    with pytest.raises(IndexError):
        seven().tree().consistency_proof(index if index != 7 else 8)


# Files


@pytest.mark.parametrize(
    ("index", "path"),
    [
        (0, "tile/0/000"),
        (999, "tile/0/999"),
        (1000, "tile/0/x001/000"),
        (273, "tile/0/273"),
        (1234067, "tile/0/x001/x234/067"),
        (10**9, "tile/0/x001/x000/x000/000"),
    ],
)
def test_tile_paths_are_those_of_the_specification(index: int, path: str) -> None:
    assert tile_path(0, index) == path
    assert tile_path(0, index, 5) == f"{path}.p/5"
    assert entries_path(index, 5) == f"{path}.p/5".replace("tile/0", "tile/entries")


def test_a_tree_of_70000_has_the_tiles_of_the_specification() -> None:
    log = MemoryLog()
    log.grow(*numbered(70_000))
    full_zero = [path for path in log.files if path.startswith("tile/0/") and ".p/" not in path]
    assert len(full_zero) == 273
    others = {path for path in log.files if not path.startswith(("tile/0/", "tile/entries/"))}
    assert others == {"tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"}
    assert "tile/0/273.p/112" in log.files
    assert len(log.files["tile/1/000"]) == 8192
    assert log.root == merkle_root(numbered(70_000))
    assert log.tree().inclusion_proof(69_999) == inclusion_proof(numbered(70_000), 69_999)


def test_a_full_tile_gives_a_partial_one_above() -> None:
    log = MemoryLog()
    appended = log.grow(*numbered(256))
    assert set(appended.files) == {"tile/entries/000", "tile/0/000", "tile/1/000.p/1"}
    assert log.files["tile/1/000.p/1"] == log.root


@settings(max_examples=40)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=6))
def test_however_entries_are_batched_the_log_is_the_same(batches: list[int]) -> None:
    log, at_once, total = MemoryLog(), MemoryLog(), sum(batches)
    start = 0
    for count in batches:
        before = log.size, log.root
        log.grow(*numbered(count, start))
        start += count
        assert verify_consistency(before[0], log.size, log.tree().consistency_proof(before[0]), before[1], log.root)
    expected = at_once.grow(*numbered(total)).files
    assert log.root == merkle_root(numbered(total))
    assert {path: log.files[path] for path in expected} == expected
    assert list(log.tree().entries()) == numbered(total)


def test_appending_again_writes_the_same_files() -> None:
    log = MemoryLog()
    log.grow(*numbered(300))
    once = append(log.tree(), log.root, numbered(400, 300))
    assert append(log.tree(), log.root, numbered(400, 300)) == once
    assert once.size == 700


@pytest.mark.parametrize("written", range(8))
def test_a_crash_after_any_file_leaves_the_old_tree_whole_and_a_repetition_mends_it(written: int) -> None:
    log = MemoryLog()
    log.grow(*numbered(250))
    appended = append(log.tree(), log.root, numbered(300, 250))
    log.files |= dict(list(appended.files.items())[:written])
    audit(log.tree(), log.root)
    assert append(log.tree(), log.root, numbered(300, 250)) == appended
    log.grow(*numbered(300, 250))
    audit(log.tree(), log.root)


def test_appending_nothing_changes_nothing() -> None:
    log = seven()
    appended = log.grow()
    assert (appended.size, appended.root, appended.files) == (7, ROOT, {})


def test_nothing_is_built_on_files_that_do_not_fit_the_checkpoint() -> None:
    log = seven()
    with pytest.raises(LogError, match="nothing was appended"):
        append(log.tree(), K, [b"more"])


def test_an_old_tree_is_read_from_the_files_of_its_own_time() -> None:
    log = MemoryLog()
    log.grow(*numbered(100))
    old_root = log.root
    log.grow(*numbered(900, 100))
    assert log.tree(100).root() == old_root


def test_entry_bundles_hold_their_entries_to_the_last_byte() -> None:
    entries = [b"", b"a", b"x" * 65_535]
    packed = pack_entries(entries)
    assert packed[:5] == b"\x00\x00\x00\x01a"
    assert split_entries(packed, 3, "f") == entries
    for broken, rule in ((packed[:-1], "ends inside"), (packed + b"\x00", "bytes after"), (b"", "ends inside")):
        with pytest.raises(LogError, match=rule):
            split_entries(broken, 3, "f")
    with pytest.raises(LogError, match="65536 bytes, more than 65535"):
        pack_entries([b"x" * 65_536])


# The monitor


def test_a_whole_log_passes_its_audit() -> None:
    log = MemoryLog()
    log.grow(*numbered(600))
    audit(log.tree(), log.root)
    audit(MemoryLog().tree(), EMPTY_ROOT)


@pytest.mark.parametrize("path", ["tile/entries/000", "tile/entries/002.p/88", "tile/0/001", "tile/1/000.p/2"])
@pytest.mark.parametrize("fault", ["flipped", "cut", "missing"])
def test_any_damaged_file_is_found_and_named(path: str, fault: str) -> None:
    log = MemoryLog()
    log.grow(*numbered(600))
    data = log.files[path]
    if fault == "missing":
        del log.files[path]
    else:
        log.files[path] = data[:-1] + (bytes([data[-1] ^ 1]) if fault == "flipped" else b"")
    with pytest.raises(LogError, match="tile/") as refused:
        audit(log.tree(), log.root)
    assert refused.value.code == ("LOG_FILE_MISSING" if fault == "missing" else "LOG_CORRUPT")


@pytest.mark.parametrize("change", [-32, -1, 1, 32])
def test_no_proof_is_made_from_a_tile_of_a_wrong_length(change: int) -> None:
    log = seven()
    tile = log.files["tile/0/000.p/7"]
    log.files["tile/0/000.p/7"] = tile[:change] if change < 0 else tile + bytes(change)
    with pytest.raises(LogError, match=r"tile/0/000\.p/7: \d+ bytes, but 7 hashes are 224"):
        log.tree().inclusion_proof(0)


def test_files_that_agree_with_each_other_but_not_with_the_checkpoint_fail_the_audit() -> None:
    log = MemoryLog()
    log.grow(*numbered(10))
    with pytest.raises(LogError, match="root of the checkpoint"):
        audit(log.tree(), K)
