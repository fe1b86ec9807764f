"""The weights snapshot and its Merkle tree."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.assembly.merkle import inclusion_proof, merkle_root, verify_inclusion
from sigma_core.assembly.weights import WeightRow, WeightsError, WeightsSnapshot
from sigma_core.canonical import canonical_json

LEAVES = st.lists(st.binary(max_size=40), min_size=1, max_size=40)


def rfc6962(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, to the letter."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + rfc6962(leaves[:split]) + rfc6962(leaves[split:])).digest()


@given(st.lists(st.binary(max_size=40), max_size=70))
def test_the_root_is_that_of_rfc_6962(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == rfc6962(leaves)


@given(LEAVES, st.data())
def test_every_leaf_has_a_proof_and_no_other_place_leaf_or_size_does(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    root, proof, size = merkle_root(leaves), inclusion_proof(leaves, index), len(leaves)
    assert verify_inclusion(leaves[index], index, size, proof, root)
    assert not verify_inclusion(leaves[index] + b"x", index, size, proof, root)
    assert not verify_inclusion(leaves[index], index, size, (*proof, bytes(32)), root)
    assert not verify_inclusion(leaves[index], size, size, proof, root)
    assert not verify_inclusion(leaves[index], -1, size, proof, root)
    if proof:
        assert not verify_inclusion(leaves[index], index, size, proof[:-1], root)
        assert not verify_inclusion(leaves[index], index, size, (bytes(32), *proof[1:]), root)
    for other in range(size):
        if leaves[other] != leaves[index]:
            assert not verify_inclusion(leaves[index], other, size, proof, root)


def test_an_inner_node_cannot_pass_for_a_leaf() -> None:
    leaves = [b"a", b"b"]
    inner = hashlib.sha256(b"\x00a").digest() + hashlib.sha256(b"\x00b").digest()
    assert merkle_root([inner]) != merkle_root(leaves)


def test_there_is_no_proof_of_a_leaf_that_is_not_there() -> None:
    with pytest.raises(IndexError):
        inclusion_proof([b"a"], 1)


ROWS = [WeightRow(f"val_{i}", f"op_{i % 3}", "f", i * 1_000, 500_000) for i in range(7)]


def test_the_order_of_rows_does_not_matter() -> None:
    assert WeightsSnapshot.of(1, "p", ROWS) == WeightsSnapshot.of(1, "p", reversed(ROWS))
    assert WeightsSnapshot.of(1, "p", ROWS).total_weight == 21_000


@pytest.mark.parametrize(
    "changed",
    [{"validator_id": "val_x"}, {"operator": "op_x"}, {"family": "g"}, {"weight": 7}, {"reputation_ppm": 1}],
)
def test_the_root_covers_every_field_of_every_row(changed: dict[str, object]) -> None:
    root = WeightsSnapshot.of(1, "p", ROWS).merkle_root
    for index, row in enumerate(ROWS):
        other = [*ROWS[:index], replace(row, **changed), *ROWS[index + 1 :]]
        assert WeightsSnapshot.of(1, "p", other).merkle_root != root


def test_the_root_covers_epoch_policy_and_the_number_of_rows() -> None:
    root = WeightsSnapshot.of(1, "p", ROWS).merkle_root
    assert root != WeightsSnapshot.of(2, "p", ROWS).merkle_root
    assert root != WeightsSnapshot.of(1, "q", ROWS).merkle_root
    assert root != WeightsSnapshot.of(1, "p", ROWS[:-1]).merkle_root


def test_a_validator_can_prove_its_row() -> None:
    snapshot = WeightsSnapshot.of(1, "p", ROWS)
    index, proof = snapshot.proof("val_4")
    leaf = canonical_json(ROWS[4].as_json())
    assert verify_inclusion(leaf, index, len(ROWS) + 1, proof, bytes.fromhex(snapshot.merkle_root))
    with pytest.raises(KeyError):
        snapshot.proof("val_9")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROWS[1], ROWS[1]], "val_1 appears twice"),
        ([replace(ROWS[1], weight=-1)], "val_1: weight -1"),
        ([replace(ROWS[1], weight=2**53)], "val_1: weight"),
        ([replace(ROWS[1], reputation_ppm=1_000_001)], "val_1: reputation"),
        ([replace(ROWS[1], validator_id=f"val_{i}", weight=2**53 - 1) for i in range(1025)], "total weight"),
    ],
)
def test_a_snapshot_that_cannot_be_published_names_the_validator_and_the_rule(
    rows: list[WeightRow], message: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        WeightsSnapshot.of(1, "p", rows)
