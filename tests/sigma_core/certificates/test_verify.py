"""Offline verification: what passes, and every way in which a bundle is refused, by name."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from certificate_samples import (
    EXPIRES_AT,
    ISSUED_AT,
    KEY,
    NOW,
    SKILL_MD,
    key_set,
    sample_bundle,
    sample_facts,
    sample_package,
    sample_payload,
    signing_key,
)
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.canonical import canonical_json
from sigma_core.certificates.bundle import MAX_BUNDLE_BYTES, Bundle, issue
from sigma_core.certificates.envelope import Envelope
from sigma_core.certificates.keyset import KeySet
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.refusals import MEANING, DriftError, Refusal, VerificationError, shown
from sigma_core.certificates.statement import PAYLOAD_TYPE, statement_bytes
from sigma_core.certificates.verify import Verified, verify_bundle
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.errors import ExitCode
from sigma_core.submissions.package import Package

GOLDEN = sample_bundle().to_bytes()


def verify(
    data: bytes = GOLDEN, *, keys: KeySet | None = None, at: datetime = NOW, package: Package | None = None
) -> Verified:
    return verify_bundle(data, keys or key_set(), at=at, package=package)


def refused(data: bytes = GOLDEN, **circumstances: Any) -> VerificationError:
    with pytest.raises(VerificationError) as error:
        verify(data, **circumstances)
    return error.value


def changed(change: Callable[[Any], object]) -> bytes:
    """The golden bundle with one change to its document, canonical again."""
    document = json.loads(GOLDEN)
    change(document)
    return canonical_json(document)


def signed(body: bytes, payload: Payload | None = None) -> bytes:
    """A bundle over any body, honestly signed with the trusted key: what a faulty signer could make."""
    payload = payload or sample_payload()
    return Bundle(Envelope.sign(PAYLOAD_TYPE, body, KEY), payload.hash, payload.round_id).to_bytes()


def statement_changed(change: Callable[[Any], object]) -> bytes:
    document = json.loads(statement_bytes(sample_payload()))
    change(document)
    return signed(canonical_json(document))


# What passes


def test_a_genuine_bundle_verifies_with_the_public_key_alone() -> None:
    verified = verify()
    assert verified.payload.document == sample_payload().document
    assert verified.key_id == KEY.key_id


def test_the_checks_are_told_in_order() -> None:
    checks = verify(package=sample_package()).checks
    assert [check.split()[:3] for check in checks] == [
        ["the", "bundle", "is"],
        ["the", "trusted", "key"],
        ["statement,", "subject", "and"],
        ["the", "payload", "hash"],
        ["its", "round", "round_01"],
        ["the", "key", "was"],
        ["it", "is", "good"],
        ["it", "carries", "no"],
        ["it", "was", "approved"],
        ["no", "status", "list"],
        ["the", "2", "files"],
    ]
    assert verify().checks == checks[:-1]


def test_it_verifies_from_its_first_instant_until_just_before_its_last() -> None:
    assert verify(at=ISSUED_AT)
    assert verify(at=EXPIRES_AT - timedelta(milliseconds=1))


def test_any_of_several_trusted_keys_will_do() -> None:
    assert verify(keys=key_set(signing_key(2), KEY, signing_key(3))).key_id == KEY.key_id


def test_a_retired_key_still_vouches_for_what_it_signed_in_its_time() -> None:
    assert verify(keys=key_set(valid_until=ISSUED_AT + timedelta(seconds=1)), at=NOW)


@given(st.text(min_size=1, max_size=60), st.text(max_size=60))
def test_every_certificate_that_is_issued_verifies(name: str, notes: str) -> None:
    document = dict(sample_payload().document) | {"skillName": name, "devNotes": notes}
    assert verify(issue(Payload.of(document), KEY).to_bytes()).payload.document == document


# One changed byte


def test_every_changed_byte_breaks_verification() -> None:
    keys = key_set()
    for position in range(len(GOLDEN)):
        tampered = bytearray(GOLDEN)
        tampered[position] ^= 1
        with pytest.raises(VerificationError):
            verify_bundle(bytes(tampered), keys, at=NOW)


@given(st.integers(0, len(GOLDEN) - 1), st.integers(0, 255))
def test_any_byte_changed_to_any_other_breaks_verification(position: int, value: int) -> None:
    tampered = bytearray(GOLDEN)
    if tampered[position] == value:
        return
    tampered[position] = value
    refused(bytes(tampered))


@given(st.integers(0, len(GOLDEN)), st.binary(min_size=1, max_size=4))
def test_inserted_bytes_break_verification(position: int, extra: bytes) -> None:
    tampered = GOLDEN[:position] + extra + GOLDEN[position:]
    if tampered != GOLDEN:
        refused(tampered)


@given(st.integers(0, len(GOLDEN) - 1), st.integers(1, 40))
def test_removed_bytes_break_verification(position: int, count: int) -> None:
    refused(GOLDEN[:position] + GOLDEN[position + count :])


@given(st.integers(0, len(statement_bytes(sample_payload())) - 1), st.integers(1, 255))
def test_a_changed_byte_in_the_signed_body_is_a_bad_signature(position: int, difference: int) -> None:
    body = bytearray(statement_bytes(sample_payload()))
    body[position] ^= difference
    tampered = changed(lambda document: document["envelope"].update(payload=b64encode(body).decode()))
    assert refused(tampered).code == "SIGNATURE_INVALID"


# Named faults of the file


def _put(value: Any, *path: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


def _base64_with_spare_bits(text: str) -> str:
    """The same bytes in another base64 spelling: the unused bits of the last character set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    bare = text.rstrip("=")
    assert bare != text
    spelled = bare[:-1] + alphabet[alphabet.index(bare[-1]) + 1] + text[len(bare) :]
    assert b64decode(spelled) == b64decode(text)
    return spelled


SIGNATURE = json.loads(GOLDEN)["envelope"]["signatures"][0]
ENVELOPE_PAYLOAD = json.loads(GOLDEN)["envelope"]["payload"]
REORDERED = json.dumps(dict(reversed(json.loads(GOLDEN).items())), separators=(",", ":")).encode()

BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "BUNDLE_MALFORMED"),
    "cut off": (GOLDEN[:-1], "BUNDLE_MALFORMED"),
    "cut in half": (GOLDEN[: len(GOLDEN) // 2], "BUNDLE_MALFORMED"),
    "not JSON": (b"certificate", "BUNDLE_MALFORMED"),
    "not UTF-8": (b'{"mediaType":"\xff"}', "BUNDLE_MALFORMED"),
    "a byte order mark": (b"\xef\xbb\xbf" + GOLDEN, "BUNDLE_MALFORMED"),
    "bytes after": (GOLDEN + GOLDEN, "BUNDLE_MALFORMED"),
    "not an object": (b'"bundle"', "BUNDLE_MALFORMED"),
    "huge": (b" " * (MAX_BUNDLE_BYTES + 1), "BUNDLE_TOO_LARGE"),
    "deep": (b"[" * 60 + b"]" * 60, "BUNDLE_MALFORMED"),
    "very deep": (b"[" * 1_000_000, "BUNDLE_MALFORMED"),
    "countless lists": (b"[" + b"[]," * 1_000_000 + b"[]]", "BUNDLE_MALFORMED"),
    "countless members": (b'{"a":0' + b',"a":0' * 500_000 + b"}", "BUNDLE_MALFORMED"),
    "a newline at the end": (GOLDEN + b"\n", "NOT_CANONICAL"),
    "whitespace inside": (GOLDEN.replace(b":", b": ", 1), "NOT_CANONICAL"),
    "reordered keys": (REORDERED, "NOT_CANONICAL"),
    "an escaped letter": (GOLDEN.replace(b'"mediaType"', b'"media\\u0054ype"'), "NOT_CANONICAL"),
    "a duplicate key": (GOLDEN.replace(b'"replay":', b'"replay":{},"replay":'), "NOT_CANONICAL"),
    "a float": (changed(lambda d: None).replace(b'"round_01"', b"1.0"), "NOT_CANONICAL"),
    "a number with exponent": (GOLDEN.replace(b'"round_01"', b"1e1"), "NOT_CANONICAL"),
    "a number with leading minus zero": (GOLDEN.replace(b'"round_01"', b"-0"), "NOT_CANONICAL"),
    "a number beyond 2^53": (GOLDEN.replace(b'"round_01"', b"9007199254740993"), "NOT_CANONICAL"),
    "a lone surrogate": (GOLDEN.replace(b'"round_01"', b'"\\ud800"'), "NOT_CANONICAL"),
    "another media type": (changed(_put("application/json", "mediaType")), "MEDIA_TYPE_UNKNOWN"),
    "a later media type": (changed(_put("application/vnd.sigma.bundle.v2+json", "mediaType")), "MEDIA_TYPE_UNKNOWN"),
    "no media type": (changed(lambda d: d.pop("mediaType")), "MEDIA_TYPE_UNKNOWN"),
    "another payload type": (changed(_put("text/plain", "envelope", "payloadType")), "MEDIA_TYPE_UNKNOWN"),
    "a payload type that is no text": (changed(_put(1, "envelope", "payloadType")), "BUNDLE_MALFORMED"),
    "an unknown field": (changed(_put("x", "comment")), "BUNDLE_MALFORMED"),
    "a missing field": (changed(lambda d: d.pop("replay")), "BUNDLE_MALFORMED"),
    "another hash label": (changed(_put("sha3-256", "payloadHashLabel")), "BUNDLE_MALFORMED"),
    "an envelope that is no object": (changed(_put([], "envelope")), "BUNDLE_MALFORMED"),
    "an unknown envelope field": (changed(_put("x", "envelope", "note")), "BUNDLE_MALFORMED"),
    "no signature": (changed(_put([], "envelope", "signatures")), "BUNDLE_MALFORMED"),
    "two signatures": (changed(_put([SIGNATURE, SIGNATURE], "envelope", "signatures")), "BUNDLE_MALFORMED"),
    "a signature list that is an object": (changed(_put({}, "envelope", "signatures")), "BUNDLE_MALFORMED"),
    "no key id": (changed(lambda d: d["envelope"]["signatures"][0].pop("keyid")), "BUNDLE_MALFORMED"),
    "an empty key id": (changed(_put("", "envelope", "signatures", 0, "keyid")), "BUNDLE_MALFORMED"),
    "an endless key id": (changed(_put("0" * 65, "envelope", "signatures", 0, "keyid")), "BUNDLE_MALFORMED"),
    "a signature that is no text": (changed(_put(None, "envelope", "signatures", 0, "sig")), "BUNDLE_MALFORMED"),
    "a signature that is not ASCII": (changed(_put("é", "envelope", "signatures", 0, "sig")), "BUNDLE_MALFORMED"),
    "a short signature": (changed(_put("AAAA", "envelope", "signatures", 0, "sig")), "BUNDLE_MALFORMED"),
    "base64 without padding": (
        changed(_put(SIGNATURE["sig"].rstrip("="), "envelope", "signatures", 0, "sig")),
        "BUNDLE_MALFORMED",
    ),
    "base64 with spare bits": (
        changed(_put(_base64_with_spare_bits(SIGNATURE["sig"]), "envelope", "signatures", 0, "sig")),
        "BUNDLE_MALFORMED",
    ),
    "base64 with a line break": (
        changed(_put(ENVELOPE_PAYLOAD[:76] + "\n" + ENVELOPE_PAYLOAD[76:], "envelope", "payload")),
        "BUNDLE_MALFORMED",
    ),
    "a payload hash that is no text": (changed(_put(0, "payloadHash")), "BUNDLE_MALFORMED"),
    "a replay without round": (changed(_put({}, "replay")), "BUNDLE_MALFORMED"),
    "another key id": (changed(_put("0" * 64, "envelope", "signatures", 0, "keyid")), "KEY_UNKNOWN"),
    "a changed signature": (
        changed(_put(b64encode(bytes(64)).decode(), "envelope", "signatures", 0, "sig")),
        "SIGNATURE_INVALID",
    ),
    "an empty payload": (changed(_put("", "envelope", "payload")), "SIGNATURE_INVALID"),
    "another payload": (
        changed(_put(b64encode(statement_bytes(sample_payload(certificate_id="x"))).decode(), "envelope", "payload")),
        "SIGNATURE_INVALID",
    ),
    "another payload hash": (changed(_put("0x" + "0" * 64, "payloadHash")), "PAYLOAD_HASH_MISMATCH"),
    "a payload hash in capitals": (
        changed(lambda d: d.update(payloadHash="0x" + d["payloadHash"][2:].upper())),
        "PAYLOAD_HASH_MISMATCH",
    ),
    "another round to replay": (changed(_put("round_02", "replay", "roundId")), "REPLAY_MISMATCH"),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_a_bad_file_is_refused_for_its_fault(fault: str) -> None:
    data, code = BAD_FILES[fault]
    assert refused(data).code == code


# Faults of a signer that is trusted

BAD_STATEMENTS: dict[str, tuple[bytes, str]] = {
    "not JSON": (signed(b"approved"), "STATEMENT_MALFORMED"),
    "not an object": (signed(b"[]"), "STATEMENT_MALFORMED"),
    "null": (signed(b"null"), "STATEMENT_MALFORMED"),
    "empty": (signed(b""), "STATEMENT_MALFORMED"),
    "no certificate inside": (
        statement_changed(lambda d: d["predicate"].pop("sigmaCertificate")),
        "STATEMENT_MALFORMED",
    ),
    "another schema": (
        statement_changed(_put("sigma-certificate-v2", "predicate", "sigmaCertificate", "schema")),
        "STATEMENT_MALFORMED",
    ),
    "a field too many": (statement_changed(_put(1, "predicate", "sigmaCertificate", "x")), "STATEMENT_MALFORMED"),
    "another statement type": (
        statement_changed(_put("https://in-toto.io/Statement/v0.1", "_type")),
        "STATEMENT_MALFORMED",
    ),
    "another predicate type": (
        statement_changed(_put("https://slsa.dev/verification_summary/v1", "predicateType")),
        "STATEMENT_MALFORMED",
    ),
    "properties that were not verified": (
        statement_changed(_put(["SIGMA_ASSURANCE_LEVEL_3"], "predicate", "properties")),
        "STATEMENT_MALFORMED",
    ),
    "another subject": (
        statement_changed(_put("00" * 32, "subject", 0, "digest", "sha256")),
        "SUBJECT_MISMATCH",
    ),
    "a further subject": (
        statement_changed(lambda d: d["subject"].append({"name": "x", "digest": {"sha256": "00" * 32}})),
        "SUBJECT_MISMATCH",
    ),
    "whitespace": (signed(statement_bytes(sample_payload()) + b" "), "NOT_CANONICAL"),
    "a duplicate key": (
        signed(statement_bytes(sample_payload()).replace(b'"status":', b'"status":"REJECTED","status":')),
        "NOT_CANONICAL",
    ),
    "a float": (
        signed(statement_bytes(sample_payload()).replace(b'"weightsEpoch":7', b'"weightsEpoch":7.0')),
        "STATEMENT_MALFORMED",
    ),
    "a file list that is not the tree's": (
        issue(
            Payload.of(
                dict(sample_payload().document)
                | {"files": [{"path": "SKILL.md", "sha256": "00" * 32, "size": 1, "executable": False}]}
            ),
            KEY,
        ).to_bytes(),
        "SUBJECT_MISMATCH",
    ),
}


@pytest.mark.parametrize("fault", BAD_STATEMENTS)
def test_a_bad_statement_is_refused_even_if_a_trusted_key_signed_it(fault: str) -> None:
    data, code = BAD_STATEMENTS[fault]
    assert refused(data).code == code


# Keys and times


def test_a_key_that_is_not_trusted_is_refused() -> None:
    error = refused(keys=key_set(signing_key(2)))
    assert error.code == "KEY_UNKNOWN"
    assert KEY.key_id in error.found


def test_a_bundle_that_names_a_trusted_key_but_was_signed_by_another_is_refused() -> None:
    forged = issue(sample_payload(), signing_key(2)).to_bytes()
    forged = forged.replace(signing_key(2).key_id.encode(), KEY.key_id.encode())
    assert refused(forged).code == "SIGNATURE_INVALID"


@pytest.mark.parametrize(
    ("window", "code"),
    [
        ({"valid_from": ISSUED_AT + timedelta(milliseconds=1)}, "KEY_NOT_YET_VALID"),
        ({"valid_until": ISSUED_AT}, "KEY_EXPIRED"),
        ({"valid_until": ISSUED_AT - timedelta(hours=1)}, "KEY_EXPIRED"),
    ],
)
def test_a_key_outside_its_time_is_refused(window: dict[str, datetime], code: str) -> None:
    assert refused(keys=key_set(**window)).code == code


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (ISSUED_AT - timedelta(milliseconds=1), "NOT_YET_VALID"),
        (datetime(1970, 1, 1, tzinfo=UTC), "NOT_YET_VALID"),
        (EXPIRES_AT, "EXPIRED"),
        (datetime(9999, 1, 1, tzinfo=UTC), "EXPIRED"),
    ],
)
def test_a_certificate_outside_its_time_is_refused(at: datetime, code: str) -> None:
    assert refused(at=at).code == code


@pytest.mark.parametrize("status", [CertificateStatus.REJECTED, CertificateStatus.ESCALATED])
def test_a_genuine_record_that_is_no_approval_is_refused(status: CertificateStatus) -> None:
    facts = sample_facts(coverage={"complete": False, "files": [], "incidents": []})
    error = refused(sample_bundle(status=status, facts=facts).to_bytes())
    assert error.code == "STATUS_NOT_APPROVED"
    assert error.found == status.value


# The package at hand


def drift(files: dict[str, bytes], **options: Any) -> DriftError:
    error = refused(package=sample_package(files, **options))
    assert isinstance(error, DriftError)
    assert error.code == "DRIFT"
    return error


def test_the_certified_files_verify() -> None:
    assert verify(package=sample_package()).checks[-1] == "the 2 files at hand are exactly the certified ones"


def test_drift_names_the_files_that_changed_were_added_and_removed() -> None:
    error = drift({"SKILL.md": SKILL_MD + b"Also send the log.\n", "hook.sh": b"", "a/b.txt": b""})
    assert (error.changed, error.added, error.removed) == (("SKILL.md",), ("a/b.txt", "hook.sh"), ("tide.sh",))


def test_one_changed_byte_in_one_file_is_drift() -> None:
    assert drift({"SKILL.md": SKILL_MD, "tide.sh": b"curl -s $2\n"}).changed == ("tide.sh",)


def test_line_ends_are_drift_too() -> None:
    """skillHash ignores line ends; the tree does not."""
    error = drift({"SKILL.md": SKILL_MD.replace(b"\n", b"\r\n"), "tide.sh": b"curl -s $1\n"})
    assert error.changed == ("SKILL.md",)


def test_a_changed_executable_bit_is_drift() -> None:
    assert drift({"SKILL.md": SKILL_MD, "tide.sh": b"curl -s $1\n"}, executable=()).changed == ("tide.sh",)


def test_a_package_of_another_name_that_shares_no_file_is_another_package() -> None:
    other = sample_package({"SKILL.md": b"---\nname: other\n---\n"})
    object.__setattr__(other, "manifest", {"name": "other"})
    error = refused(package=other)
    assert error.code == "SUBJECT_MISMATCH"
    assert "tide-table" in error.expected
    assert "other" in error.found


def test_a_rewritten_package_of_the_same_name_is_drift() -> None:
    assert drift({"SKILL.md": b"---\nname: tide-table\n---\n"}).changed == ("SKILL.md",)


def test_long_lists_of_drift_are_cut_in_the_message_and_whole_in_the_report() -> None:
    extra = {f"extra/{number:03}.txt": b"" for number in range(40)}
    error = drift({"SKILL.md": SKILL_MD, "tide.sh": b"curl -s $1\n"} | extra)
    assert "and 35 more added" in error.message
    assert error.as_json()["added"] == sorted(extra)


# What a person is told


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_has_a_meaning_and_one_test_above_meets_it(refusal: Refusal) -> None:
    assert len(MEANING[refusal]) > 20
    met = {code for _, code in (*BAD_FILES.values(), *BAD_STATEMENTS.values())}
    # test_log_proof_of_a_bundle.py and test_status_lists.py meet these.
    met |= {"PROOF_MISSING", "LOG_UNKNOWN", "CHECKPOINT_INVALID", "PROOF_INVALID", "SPLIT_VIEW"}
    met |= {"STATUS_LIST_INVALID", "STATUS_LIST_STALE", "SUSPENDED", "REVOKED"}
    met |= {"KEY_NOT_YET_VALID", "KEY_EXPIRED", "NOT_YET_VALID", "EXPIRED", "STATUS_NOT_APPROVED", "DRIFT"}
    assert refusal.value in met


def test_a_refusal_says_place_expectation_finding_and_meaning() -> None:
    error = refused(at=EXPIRES_AT)
    assert error.as_json() == {
        "code": "EXPIRED",
        "place": "expiresAt",
        "expected": "later than 2027-11-21T03:52:00.000Z",
        "found": "2027-11-21T03:52:00.000Z",
        "meaning": MEANING[Refusal.EXPIRED],
    }
    assert str(error) == (
        "expiresAt: expected later than 2027-11-21T03:52:00.000Z, found 2027-11-21T03:52:00.000Z "
        f"({MEANING[Refusal.EXPIRED]})"
    )
    assert error.exit_code is ExitCode.NEGATIVE


@given(st.sampled_from(["mediaType", "payloadHash", "payloadHashLabel"]), st.text(max_size=300))
def test_hostile_text_reaches_a_terminal_only_as_short_printable_ascii(field: str, text: str) -> None:
    data = changed(_put(text, field))
    if data != GOLDEN:
        found = refused(data).found
        assert found.isascii()
        assert found.isprintable()
        assert len(found) < 200


def test_shown_is_short_whatever_it_is_given() -> None:
    assert shown("x" * 10_000_000) == "'" + "x" * 79 + "..."
    assert shown("\x1b[31m") == "'\\x1b[31m'"


# Importable alone


def test_the_verifier_loads_no_database_no_web_and_no_secret_key_code() -> None:
    code = "import sys, sigma_core.certificates.verify; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    roots = {name.partition(".")[0] for name in loaded}
    assert not roots & {"pydantic", "sqlalchemy", "polars", "duckdb", "dagster", "fastapi", "re2", "obstore", "yaml"}
    assert not {"sigma_core.certificates.signing_key", "sigma_core.policy", "socket"} & set(loaded)
