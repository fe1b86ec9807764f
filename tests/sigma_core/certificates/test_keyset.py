"""The published key set: its file form, its limits, and the time in which a key may sign."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from certificate_samples import ISSUED_AT, KEY, key_set, signing_key

from sigma_core.certificates.keyset import MAX_KEYS, KeySet, KeySetError, LogKey, TrustedKey
from sigma_core.certificates.log.cosignature import WitnessKey
from sigma_core.certificates.log.note import NoteKey


def document(**changes: Any) -> dict[str, Any]:
    entry = json.loads(key_set().to_bytes())["keys"][0]
    return {"schema": "sigma-key-set-v1", "keys": [entry | changes]}


def test_a_set_survives_its_file_form_sorted_by_key_id() -> None:
    original = key_set(signing_key(3), signing_key(1), signing_key(2), valid_until=ISSUED_AT + timedelta(days=90))
    read = KeySet.parse(original.to_bytes())
    assert read.to_bytes() == original.to_bytes()
    assert list(read.by_id) == sorted(read.by_id)
    assert read.by_id[KEY.key_id].valid_until == ISSUED_AT + timedelta(days=90)


def test_a_person_may_write_the_file_in_any_spelling() -> None:
    pretty = json.dumps(document(), indent=2).encode()
    assert KeySet.parse(pretty).to_bytes() == key_set(logs=()).to_bytes()


def test_a_set_names_its_logs_and_witnesses_and_one_from_before_there_were_any_still_reads() -> None:
    witness = WitnessKey("witness.example/w1", KEY.public_key)
    read = KeySet.parse(key_set(witnesses=(witness,)).to_bytes())
    assert [key.encode() for key in read.witnesses] == [witness.encode()]
    assert [key.name for key in read.log_keys("sigma.example/log")] == ["sigma.example/log"]
    assert read.log_keys("other.example/log") == ()
    assert KeySet.parse(json.dumps(document()).encode()).logs == ()


@pytest.mark.parametrize("kind", ["logs", "witnesses"])
@pytest.mark.parametrize("keys", [{}, "x", [1], ["x"], ["a+00000000+AAAA"], ["x"] * (MAX_KEYS + 1)])
def test_a_bad_log_or_witness_key_is_refused(kind: str, keys: Any) -> None:
    with pytest.raises(KeySetError, match=kind):
        KeySet.parse(json.dumps(document() | {kind: keys}).encode())


def test_a_logs_key_is_no_witness_key() -> None:
    with pytest.raises(KeySetError, match="witnesses"):
        KeySet.parse(json.dumps(document() | {"witnesses": [NoteKey("x", KEY.public_key).encode()]}).encode())


def test_a_key_checks_signatures_and_nothing_else_passes() -> None:
    key = key_set().by_id[KEY.key_id]
    signature = KEY.sign(b"message")
    assert key.signed(signature, b"message")
    assert not key.signed(signature, b"massage")
    assert not key.signed(signature[:-1], b"message")
    assert not key.signed(b"", b"message")


def test_a_signature_has_one_form_only() -> None:
    """Ed25519 with S + L would verify under lax implementations: a second signature that nobody made."""
    order = 2**252 + 27742317777372353535851937790883648493
    signature = KEY.sign(b"message")
    second = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    assert not key_set().by_id[KEY.key_id].signed(second, b"message")


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "not JSON"),
        (b"[]", "expected"),
        (b'{"schema":"sigma-key-set-v2","keys":[]}', "expected"),
        (b'{"schema":"sigma-key-set-v1","keys":[]}', "list of 1 to"),
        (b'{"schema":"sigma-key-set-v1","schema":"sigma-key-set-v1","keys":[]}', "appears twice"),
        (b'{"schema":"sigma-key-set-v1","keys":[1]}', r"keys\[0\]: expected an object"),
        (b" " * 70_000, "70000 bytes, more than"),
    ],
)
def test_a_file_that_is_no_key_set_is_refused(data: bytes, rule: str) -> None:
    with pytest.raises(KeySetError, match=rule):
        KeySet.parse(data)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"algorithm": "rsa"}, "algorithm: expected ed25519"),
        ({"publicKey": "AAAA"}, "publicKey: expected 32 bytes"),
        ({"publicKey": None}, "publicKey: expected 32 bytes"),
        ({"publicKey": "ü" * 44}, "publicKey: expected 32 bytes"),
        ({"keyId": "0" * 64}, "keyId: expected .* the hash of publicKey"),
        ({"validFrom": "yesterday"}, "validFrom: expected a UTC time"),
        ({"validFrom": None}, "validFrom: expected a UTC time"),
        ({"validUntil": 5}, "validUntil: expected a UTC time"),
        ({"validUntil": "2020-01-01T00:00:00.000Z"}, "later than its validFrom"),
        ({"comment": "x"}, "expected an object with"),
    ],
)
def test_an_entry_that_breaks_a_rule_is_named(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(KeySetError, match=rule):
        KeySet.parse(json.dumps(document(**changes)).encode())


def test_one_key_twice_is_refused() -> None:
    twice = document()
    twice["keys"] *= 2
    with pytest.raises(KeySetError, match="twice"):
        KeySet.parse(json.dumps(twice).encode())


def test_a_set_has_a_limit() -> None:
    keys = [TrustedKey(signing_key(number).public_key, ISSUED_AT) for number in range(MAX_KEYS + 1)]
    assert len(KeySet(keys[:-1]).by_id) == MAX_KEYS
    with pytest.raises(KeySetError, match="more than"):
        KeySet(keys)
    entries = [key.as_json() for key in keys]
    with pytest.raises(KeySetError, match="list of 1 to"):
        KeySet.parse(json.dumps({"schema": "sigma-key-set-v1", "keys": entries}).encode())


def test_a_log_key_that_another_took_over_from_stands_with_the_end_of_its_time() -> None:
    end = datetime(2027, 1, 1, tzinfo=UTC)
    over = LogKey("sigma.example/log", KEY.public_key, end)
    data = key_set(logs=(over,)).to_bytes()
    assert json.loads(data)["logs"] == [{"key": over.encode(), "validUntil": "2027-01-01T00:00:00.000Z"}]
    [read] = KeySet.parse(data).logs
    assert read == over
    assert read.in_use_at(end - timedelta(milliseconds=1))
    assert not read.in_use_at(end)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"key": NoteKey("x", KEY.public_key).encode()},
        {"key": "x", "validUntil": "2027-01-01T00:00:00.000Z"},
        {"key": NoteKey("x", KEY.public_key).encode(), "validUntil": None},
        {"key": NoteKey("x", KEY.public_key).encode(), "validUntil": "2027-01-01"},
        {"key": NoteKey("x", KEY.public_key).encode(), "validUntil": "2027-01-01T00:00:00.000Z", "more": 1},
    ],
)
def test_a_log_key_with_a_bad_end_is_refused(entry: Any) -> None:
    with pytest.raises(KeySetError, match=r"logs\[0\]"):
        KeySet.parse(json.dumps(document() | {"logs": [entry]}).encode())
