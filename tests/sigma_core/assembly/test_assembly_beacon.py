"""The deployment's own beacon: a hash chain that is published backwards."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.assembly import beacon
from sigma_core.assembly.beacon import (
    MAX_LENGTH,
    BeaconError,
    BeaconExhaustedError,
    BeaconValue,
    HashChain,
    HashChainBeacon,
    NotYet,
)

SECRET = b"thirty-two bytes of randomness.."
LENGTH = 700
CHAIN = HashChainBeacon.create(SECRET, LENGTH)


def revealed(round_number: int, source: HashChainBeacon = CHAIN) -> BeaconValue:
    value = source.reveal_to(round_number).value(round_number)
    assert isinstance(value, BeaconValue)
    return value


def test_the_chain_is_the_repeated_tagged_hash_of_the_secret_published_backwards() -> None:
    links = [SECRET]
    for _ in range(LENGTH):
        links.append(hashlib.sha256(b"sigma-beacon-link-v1\x00" + links[-1]).digest())
    assert CHAIN.chain_id == links[LENGTH].hex()
    for round_number in range(1, LENGTH + 1):
        assert revealed(round_number).value == links[LENGTH - round_number].hex()


def test_a_value_does_not_exist_before_it_is_revealed() -> None:
    source = CHAIN.reveal_to(5)
    assert source.revealed == 5
    assert source.value(6) == NotYet(6)
    assert isinstance(source.value(5), BeaconValue)


def test_revealing_never_takes_a_value_back() -> None:
    assert CHAIN.reveal_to(5).reveal_to(2).revealed == 5


@given(st.integers(1, LENGTH), st.integers(0, LENGTH))
def test_every_value_verifies_from_the_anchor_and_from_any_earlier_value(round_number: int, since: int) -> None:
    value = revealed(round_number)
    CHAIN.verify(value)
    if 0 < since < round_number:
        CHAIN.chain.verify(value, since=revealed(since))


@given(st.integers(1, LENGTH), st.integers(1, LENGTH))
def test_a_value_verifies_for_its_own_round_only(round_number: int, other: int) -> None:
    if other != round_number:
        with pytest.raises(BeaconError, match=f"round {other}"):
            CHAIN.verify(replace(revealed(round_number), round=other))


@pytest.mark.parametrize(
    "changed",
    [
        {"value": "00" * 32},
        {"value": "AB" * 32},
        {"value": "é" * 64},
        {"value": ""},
        {"proof": "00"},
        {"chain_id": "00" * 32},
        {"round": 0},
        {"round": -1},
        {"round": MAX_LENGTH + 1},
        {"round": 10**30},
    ],
)
def test_a_value_that_is_not_the_chains_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(BeaconError):
        CHAIN.verify(replace(revealed(3), **changed))


def test_a_value_does_not_verify_since_a_later_one_or_one_of_another_chain() -> None:
    with pytest.raises(BeaconError, match="not within"):
        CHAIN.chain.verify(revealed(3), since=revealed(4))
    with pytest.raises(BeaconError, match="another chain"):
        CHAIN.chain.verify(revealed(3), since=replace(revealed(2), chain_id="00" * 32))


def test_a_value_costs_at_most_255_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    original = beacon._links

    def counted(value: bytes, count: int) -> bytes:
        steps.append(count)
        return original(value, count)

    monkeypatch.setattr(beacon, "_links", counted)
    source = CHAIN.reveal_to(LENGTH)
    for round_number in range(1, LENGTH + 1):
        source.value(round_number)
    assert len(steps) == LENGTH
    assert max(steps) == 255


@pytest.mark.parametrize("length", [1, 2, 255, 256, 257, 512, 513])
def test_chains_of_every_length_around_the_pebbles_verify_at_both_ends(length: int) -> None:
    source = HashChainBeacon.create(SECRET, length)
    source.verify(revealed(1, source))
    source.verify(revealed(length, source))


def test_a_used_up_chain_says_so() -> None:
    used_up = CHAIN.reveal_to(LENGTH)
    with pytest.raises(BeaconExhaustedError, match=f"ends at round {LENGTH}"):
        used_up.value(LENGTH + 1)
    with pytest.raises(BeaconExhaustedError):
        CHAIN.reveal_to(LENGTH + 1)


def test_rounds_start_at_one() -> None:
    with pytest.raises(BeaconError, match="start at 1"):
        CHAIN.value(0)


@pytest.mark.parametrize(
    ("secret", "length"), [(b"short", 10), (SECRET + b"x", 10), (SECRET, 0), (SECRET, MAX_LENGTH + 1)]
)
def test_a_chain_needs_a_secret_of_32_bytes_and_a_bounded_length(secret: bytes, length: int) -> None:
    with pytest.raises(BeaconError):
        HashChainBeacon.create(secret, length)


def test_neither_the_public_description_nor_a_traceback_shows_the_secret() -> None:
    assert CHAIN.chain.as_json() == {"kind": "hash-chain", "anchor": CHAIN.chain_id}
    assert HashChain(CHAIN.chain_id) == CHAIN.chain
    assert SECRET.hex() not in repr(CHAIN)
    assert repr(SECRET) not in repr(CHAIN)
