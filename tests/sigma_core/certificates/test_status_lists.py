"""Status lists: suspension and revocation as signed bits, and every way in which a list is refused."""

from __future__ import annotations

import gzip
import json
import zlib
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from certificate_samples import ISSUED_AT, KEY, NOW, key_set, sample_bundle, signing_key
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.canonical import canonical_json
from sigma_core.certificates.envelope import Envelope
from sigma_core.certificates.payload import StatusListEntry
from sigma_core.certificates.refusals import VerificationError
from sigma_core.certificates.status_list import (
    ENTRIES,
    LIST_BYTES,
    MAX_FILE_BYTES,
    PAYLOAD_TYPE,
    StatusList,
    bits_of,
    list_uri,
)
from sigma_core.certificates.verify import Verified, verify_bundle
from sigma_core.certificates.vocabulary import CertificateStatus

BASE, INDEX = "https://sigma.example/status/1", 42
SUSPENDED, REVOKED = CertificateStatus.SUSPENDED, CertificateStatus.REVOKED
GOLDEN = sample_bundle().to_bytes()


def status_list(status: CertificateStatus, *indices: int, **changes: Any) -> StatusList:
    fields: dict[str, Any] = {
        "uri": list_uri(BASE, status),
        "status": status,
        "valid_from": NOW - timedelta(hours=1),
        "valid_until": NOW + timedelta(hours=23),
        "ttl": timedelta(minutes=5),
        "bits": bits_of(indices),
    }
    return StatusList(**(fields | changes))


def files(*, suspended: tuple[int, ...] = (), revoked: tuple[int, ...] = ()) -> list[bytes]:
    return [status_list(SUSPENDED, *suspended).sign(KEY), status_list(REVOKED, *revoked).sign(KEY)]


def verify(lists: list[bytes], **options: Any) -> Verified:
    return verify_bundle(GOLDEN, options.pop("keys", key_set()), at=options.pop("at", NOW), status_lists=lists)


def refused(lists: list[bytes], **options: Any) -> VerificationError:
    with pytest.raises(VerificationError) as error:
        verify(lists, **options)
    return error.value


# What a list says


def test_a_certificate_in_no_list_is_cleared_as_of_the_lists() -> None:
    verified = verify(files(suspended=(41, 43), revoked=(0, ENTRIES - 1)))
    assert verified.status_as_of == NOW - timedelta(hours=1)
    assert "it is neither suspended nor revoked in the status lists of 2026-12-21T02:52:00.000Z" in verified.checks


def test_without_lists_nothing_is_claimed() -> None:
    verified = verify([])
    assert verified.status_as_of is None
    assert any(check.startswith("no status list is at hand") for check in verified.checks)


def test_a_suspended_and_a_revoked_certificate_are_refused() -> None:
    assert refused(files(suspended=(INDEX,))).code == "SUSPENDED"
    assert refused(files(revoked=(INDEX,))).code == "REVOKED"
    assert refused(files(suspended=(INDEX,), revoked=(INDEX,))).code == "REVOKED"


def test_one_list_is_enough_to_condemn_and_not_to_clear() -> None:
    [suspension, revocation] = files(suspended=(INDEX,))
    assert refused([suspension]).code == "SUSPENDED"
    assert refused([revocation]).code == "STATUS_LIST_INVALID"


def test_the_newest_of_several_lists_counts() -> None:
    lifted = status_list(SUSPENDED, valid_from=NOW - timedelta(minutes=1)).sign(KEY)
    old = files(suspended=(INDEX,))
    assert verify([*old, lifted]).status_as_of == NOW - timedelta(hours=1)
    assert verify([lifted, *old])


def test_a_list_that_is_about_other_certificates_clears_nothing() -> None:
    other = [
        status_list(status, uri=list_uri("https://sigma.example/status/2", status)).sign(KEY)
        for status in (SUSPENDED, REVOKED)
    ]
    assert refused(other).code == "STATUS_LIST_INVALID"
    assert verify([*other, *files()])


def test_a_revocation_list_at_the_suspension_address_is_not_taken_for_one() -> None:
    crossed = [status_list(REVOKED, uri=list_uri(BASE, SUSPENDED)).sign(KEY), files()[1]]
    assert refused(crossed).code == "STATUS_LIST_INVALID"


@given(st.sets(st.integers(0, ENTRIES - 1), max_size=40), st.integers(0, ENTRIES - 1))
def test_a_list_holds_exactly_its_entries(entries: set[int], other: int) -> None:
    read = StatusList.open(status_list(SUSPENDED, *entries).sign(KEY), key_set())
    assert all(read.holds(index) for index in entries)
    assert read.holds(other) == (other in entries)


def test_entry_zero_is_the_first_bit_of_the_first_byte() -> None:
    """W3C Bitstring Status List, section 2.2: the index is counted from the left."""
    assert bits_of([0])[:2] == b"\x80\x00"
    assert bits_of([9])[:2] == b"\x00\x40"
    assert bits_of([ENTRIES - 1])[-1] == 1


@pytest.mark.parametrize("index", [-1, ENTRIES])
def test_an_entry_beyond_the_list_is_an_error_and_never_clear(index: int) -> None:
    with pytest.raises(IndexError):
        status_list(SUSPENDED).holds(index)
    with pytest.raises(IndexError):
        bits_of([index])


def test_a_certificate_whose_index_is_beyond_the_list_is_refused() -> None:
    data = sample_bundle(status_list=StatusListEntry(BASE, ENTRIES)).to_bytes()
    with pytest.raises(VerificationError, match="below 131072"):
        verify_bundle(data, key_set(), at=NOW, status_lists=files())


# Time and keys


@pytest.mark.parametrize(
    "at", [NOW - timedelta(hours=1, milliseconds=1), NOW + timedelta(hours=23), NOW + timedelta(days=30)]
)
def test_a_list_that_is_not_for_this_time_is_refused(at: Any) -> None:
    assert refused(files(), at=at).code == "STATUS_LIST_STALE"


def test_a_list_from_the_future_is_refused() -> None:
    ahead = status_list(SUSPENDED, valid_from=NOW + timedelta(minutes=1)).sign(KEY)
    assert refused([ahead]).code == "STATUS_LIST_STALE"


def test_a_list_of_another_key_or_of_a_key_beyond_its_time_is_refused() -> None:
    assert refused([status_list(SUSPENDED).sign(signing_key(2))]).code == "KEY_UNKNOWN"
    retired = key_set(valid_until=ISSUED_AT + timedelta(days=1))
    assert refused(files(), keys=retired).code == "KEY_EXPIRED"


def test_a_certificate_is_no_status_list_and_the_other_way_round() -> None:
    envelope = canonical_json(json.loads(GOLDEN)["envelope"])
    assert refused([envelope]).code == "MEDIA_TYPE_UNKNOWN"


# Lies and damage


def forged(change: Callable[[Any], object]) -> bytes:
    """A list with one change to its document, honestly signed: what a faulty signer could make."""
    envelope = json.loads(status_list(SUSPENDED, 1).sign(KEY))
    document = json.loads(b64decode(envelope["payload"]))
    change(document)
    return canonical_json(Envelope.sign(PAYLOAD_TYPE, canonical_json(document), KEY).as_json())


def encoded(packed: bytes) -> Callable[[Any], object]:
    text = "u" + urlsafe_b64encode(packed).decode().rstrip("=")
    return lambda document: document["credentialSubject"].update(encodedList=text)


def put(value: Any, *path: str) -> Callable[[Any], object]:
    def change(document: Any) -> None:
        for name in path[:-1]:
            document = document[name]
        document[path[-1]] = value

    return change


LIES: dict[str, Callable[[Any], object]] = {
    "too short": encoded(gzip.compress(bytes(LIST_BYTES - 1))),
    "too long": encoded(gzip.compress(bytes(LIST_BYTES + 1))),
    "empty": encoded(gzip.compress(b"")),
    "a bomb": encoded(gzip.compress(bytes(20_000_000))),
    "two members": encoded(gzip.compress(bytes(LIST_BYTES)) + gzip.compress(bytes(LIST_BYTES))),
    "bytes after": encoded(gzip.compress(bytes(LIST_BYTES)) + b"x"),
    "cut off": encoded(gzip.compress(bytes(LIST_BYTES))[:-9]),
    "a wrong checksum": encoded(gzip.compress(bytes(LIST_BYTES))[:-8] + bytes(8)),
    "zlib instead of gzip": encoded(zlib.compress(bytes(LIST_BYTES))),
    "not packed": encoded(bytes(100)),
    "another multibase": put("z123", "credentialSubject", "encodedList"),
    "padding": put("uAA==", "credentialSubject", "encodedList"),
    "not base64": put("u!!!", "credentialSubject", "encodedList"),
    "no text": put(1, "credentialSubject", "encodedList"),
    "another purpose": put("message", "credentialSubject", "statusPurpose"),
    "two purposes": put(["revocation", "suspension"], "credentialSubject", "statusPurpose"),
    "another issuer": put("https://other.example", "issuer"),
    "another type": put(["VerifiableCredential"], "type"),
    "an endless ttl": put(10**12, "credentialSubject", "ttl"),
    "a negative ttl": put(-1, "credentialSubject", "ttl"),
    "a ttl that is true": put(True, "credentialSubject", "ttl"),
    "an end before its start": put("2020-01-01T00:00:00.000Z", "validUntil"),
    "a time without zone": put("2026-12-21T00:00:00", "validFrom"),
    "a field too many": put(1, "comment"),
    "no subject": lambda document: document.pop("credentialSubject"),
    "a subject that is a list": put([], "credentialSubject"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_list_that_lies_is_refused_even_if_a_trusted_key_signed_it(lie: str) -> None:
    assert refused([forged(LIES[lie])]).code == "STATUS_LIST_INVALID"


GOOD = files()[0]
DAMAGE: dict[str, bytes] = {
    "empty": b"",
    "cut off": GOOD[:-1],
    "huge": b" " * (MAX_FILE_BYTES + 1),
    "deep": b"[" * 60_000,
    "countless members": b"{" + b'"a":0,' * 9_000,
    "whitespace": GOOD + b"\n",
    "a duplicate key": GOOD.replace(b'"payload":', b'"payload":"","payload":', 1),
    "a float": b'{"payload":1.0}',
    "not UTF-8": b"\xff\xfe",
    "a list": b"[]",
    "no signature": canonical_json(json.loads(GOOD) | {"signatures": []}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused(damage: str) -> None:
    assert refused([DAMAGE[damage]]).code == "STATUS_LIST_INVALID"


@pytest.mark.parametrize("per_mille", range(0, 1000, 17))
def test_one_changed_byte_fails_wherever_it_is(per_mille: int) -> None:
    data = bytearray(GOOD)
    data[len(data) * per_mille // 1000] ^= 1
    assert refused([bytes(data)]).code


def test_too_many_lists_are_refused_unread() -> None:
    assert refused([b""] * 17).code == "STATUS_LIST_INVALID"
