"""A bundle's proof that it is in the public log: what it takes, and every way in which it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from certificate_samples import (
    KEY,
    LOG_KEY,
    NOW,
    ORIGIN,
    in_log,
    key_set,
    logged_bundle,
    sample_bundle,
    sample_payload,
    signing_key,
)

from sigma_core.canonical import canonical_json
from sigma_core.certificates.bundle import Bundle, issue
from sigma_core.certificates.keyset import KeySet, LogKey
from sigma_core.certificates.log.append import append
from sigma_core.certificates.log.checkpoint import Checkpoint
from sigma_core.certificates.log.cosignature import WitnessKey, add_cosignatures, cosigned_message
from sigma_core.certificates.log.entry import certificate_entry
from sigma_core.certificates.log.note import NoteKey, SignatureLine
from sigma_core.certificates.log.proof import LogProof
from sigma_core.certificates.log.tree import EMPTY_ROOT, TiledTree
from sigma_core.certificates.refusals import VerificationError
from sigma_core.certificates.verify import Verified, open_bundle, verify_bundle

LOGGED = logged_bundle()
GOLDEN = LOGGED.to_bytes()
PROOF = LOGGED.log_proof
assert PROOF is not None
WITNESS = signing_key(5)
WITNESS_KEY = WitnessKey("witness.example/w1", WITNESS.public_key)


def verify(data: bytes, keys: KeySet | None = None, **options: Any) -> Verified:
    return verify_bundle(data, keys or key_set(), at=NOW, **options)


def refused(data: bytes, keys: KeySet | None = None, **options: Any) -> VerificationError:
    with pytest.raises(VerificationError) as error:
        verify(data, keys, **options)
    return error.value


def with_proof(proof: LogProof) -> bytes:
    return LOGGED.with_proof(proof).to_bytes()


def with_text(change: Callable[[str], str]) -> bytes:
    """The golden bundle with its proof's text changed."""
    document = json.loads(GOLDEN)
    document["logProof"] = change(document["logProof"])
    return canonical_json(document)


def cosigned(proof: LogProof, *, key: Any = WITNESS, seconds: int = 1_790_000_000) -> LogProof:
    text = proof.checkpoint.text
    signature = seconds.to_bytes(8, "big") + key.sign(cosigned_message(seconds, text))
    line = SignatureLine(WITNESS_KEY.name, WITNESS_KEY.key_id, signature)
    return LogProof(proof.index, proof.hashes, proof.note + f"{line.text}\n".encode())


# What passes


def test_a_logged_certificate_verifies_and_says_where_it_is() -> None:
    verified = verify(GOLDEN)
    assert verified.checkpoint == PROOF.checkpoint
    assert f"it is entry 2 of 5 in the log '{ORIGIN}'" in verified.checks


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 256), (255, 256), (256, 257), (700, 1_000)])
def test_the_proof_holds_wherever_the_entry_is(index: int, size: int) -> None:
    verify(logged_bundle(index=index, size=size).to_bytes())


def test_a_certificate_from_before_there_was_a_log_verifies_and_says_that_it_carries_no_proof() -> None:
    verified = verify(sample_bundle().to_bytes(), key_set(logs=()))
    assert verified.checkpoint is None
    assert "it carries no log proof: it was issued before its issuer kept a public log" in verified.checks


def test_the_bundle_survives_its_file_form() -> None:
    assert Bundle.parse(GOLDEN) == LOGGED
    assert Bundle.parse(GOLDEN).to_bytes() == GOLDEN


def test_any_of_the_logs_keys_will_do() -> None:
    keys = key_set(logs=(NoteKey(ORIGIN, signing_key(8).public_key), NoteKey(ORIGIN, LOG_KEY.public_key)))
    verify(GOLDEN, keys)


# Every byte


@pytest.mark.parametrize("per_mille", range(0, 1000, 13))
@pytest.mark.parametrize("flip", [1, 0x20, 0x80])
def test_one_changed_byte_fails_wherever_it_is(per_mille: int, flip: int) -> None:
    data = bytearray(GOLDEN)
    data[len(data) * per_mille // 1000] ^= flip
    assert refused(bytes(data)).code


def test_every_byte_of_the_proof_counts() -> None:
    start = GOLDEN.index(b'"logProof"')
    end = GOLDEN.index(b'"mediaType"')
    for at in range(start, end):
        data = bytearray(GOLDEN)
        data[at] ^= 1
        refused(bytes(data))


@pytest.mark.parametrize("per_mille", range(0, 1000, 31))
def test_a_bundle_that_was_cut_off_is_refused(per_mille: int) -> None:
    assert refused(GOLDEN[: len(GOLDEN) * per_mille // 1000]).code == "BUNDLE_MALFORMED"


# Proofs that prove something else


def test_a_certificate_that_names_a_log_needs_its_proof() -> None:
    stripped = Bundle(LOGGED.envelope, LOGGED.payload_hash, LOGGED.round_id).to_bytes()
    assert refused(stripped).code == "PROOF_MISSING"


def test_the_proof_of_another_leaf_is_refused() -> None:
    other = sample_payload(transparency_log=ORIGIN, certificate_id="cert_02")
    proof = in_log(certificate_entry(other, KEY.key_id))
    assert refused(with_proof(proof)).code == "PROOF_INVALID"


def test_the_right_hashes_at_another_index_are_refused() -> None:
    assert refused(with_proof(LogProof(3, PROOF.hashes, PROOF.note))).code == "PROOF_INVALID"
    assert refused(with_proof(LogProof(10**18, PROOF.hashes, PROOF.note))).code == "PROOF_INVALID"


@pytest.mark.parametrize(
    "hashes", [(), PROOF.hashes[:-1], (*PROOF.hashes, bytes(32)), PROOF.hashes[::-1], (bytes(32),) * 64]
)
def test_other_hashes_are_refused(hashes: tuple[bytes, ...]) -> None:
    assert refused(with_proof(LogProof(PROOF.index, hashes, PROOF.note))).code == "PROOF_INVALID"


def test_a_proof_under_another_checkpoint_of_the_same_log_is_refused() -> None:
    bigger = logged_bundle(index=2, size=9).log_proof
    assert bigger is not None
    assert refused(with_proof(LogProof(PROOF.index, PROOF.hashes, bigger.note))).code == "PROOF_INVALID"


def test_an_entry_that_names_another_signing_key_is_refused() -> None:
    payload = sample_payload(transparency_log=ORIGIN)
    proof = in_log(certificate_entry(payload, signing_key(2).key_id))
    assert refused(with_proof(proof)).code == "PROOF_INVALID"


def test_a_proof_beside_a_certificate_that_names_no_log_is_refused() -> None:
    payload = sample_payload()
    bundle = issue(payload, KEY).with_proof(in_log(certificate_entry(payload, KEY.key_id)))
    assert refused(bundle.to_bytes()).code == "PROOF_INVALID"


# Checkpoints


def test_a_log_that_is_not_trusted_is_refused() -> None:
    assert refused(GOLDEN, key_set(logs=())).code == "LOG_UNKNOWN"
    assert refused(GOLDEN, key_set(logs=(NoteKey("other.example/log", LOG_KEY.public_key),))).code == "LOG_UNKNOWN"


def test_a_checkpoint_that_another_key_signed_in_the_logs_name_is_refused() -> None:
    payload = sample_payload(transparency_log=ORIGIN)
    forged = in_log(certificate_entry(payload, KEY.key_id), key=signing_key(3))
    assert refused(with_proof(forged)).code == "CHECKPOINT_INVALID"


def test_the_checkpoint_of_another_log_is_refused() -> None:
    payload = sample_payload(transparency_log=ORIGIN)
    other = in_log(certificate_entry(payload, KEY.key_id), origin="other.example/log")
    assert refused(with_proof(other)).code == "CHECKPOINT_INVALID"


def test_a_checkpoint_whose_text_was_changed_is_refused() -> None:
    assert refused(with_text(lambda text: text.replace("\n5\n", "\n6\n"))).code == "CHECKPOINT_INVALID"


def test_a_split_view_is_refused_and_named() -> None:
    """Two roots for one size, both honestly signed by the log's key: the log showed two people two histories."""
    other = in_log(b"another history")
    error = refused(GOLDEN, known_checkpoints=[other.note])
    assert error.code == "SPLIT_VIEW"
    assert "evidence" in error.hint
    assert verify(GOLDEN, known_checkpoints=[PROOF.note]).uncompared == ()
    seen = [in_log(b"one", size=7).note, in_log(b"another", size=7).note]
    assert refused(GOLDEN, known_checkpoints=seen).code == "SPLIT_VIEW"  # of each other, whatever the bundle's is


class SharedLog:
    """A log that holds the golden certificate at its place, and its checkpoints of any size."""

    def __init__(self, last: bytes = b"entry 11") -> None:
        entry = certificate_entry(sample_payload(transparency_log=ORIGIN), KEY.key_id)
        self.entries = [b"entry %d" % number for number in range(12)]
        self.entries[PROOF.index], self.entries[-1] = entry, last
        self.files: dict[str, bytes] = {}
        size, root = 0, EMPTY_ROOT
        self.notes = {}
        for each in self.entries:
            appended = append(TiledTree(size, self.files.get), root, [each])
            self.files |= appended.files
            size, root = appended.size, appended.root
            self.notes[size] = Checkpoint(ORIGIN, size, root).sign(LOG_KEY)
        self.files["checkpoint"] = self.notes[size]


def test_checkpoints_of_other_sizes_are_compared_by_the_logs_files() -> None:
    log = SharedLog()
    verified = verify(GOLDEN, known_checkpoints=[log.notes[3], log.notes[5], log.notes[9]], log=log.files.get)
    assert verified.uncompared == ()
    assert any("one history, up to 12 entries" in check for check in verified.checks)


def test_without_the_logs_files_it_is_said_which_sizes_are_not_compared() -> None:
    verified = verify(GOLDEN, known_checkpoints=[SharedLog().notes[9], SharedLog().notes[3]])
    assert verified.uncompared == (3, 9)
    assert any("3, 9 entries cannot be compared" in check for check in verified.checks)


@pytest.mark.parametrize("size", [1, 3, 4, 6, 9, 12])
def test_a_split_view_of_another_size_is_refused_and_named(size: int) -> None:
    """Each is honestly signed by the log's key, and each grows by its own rules; only the files show that they are two."""
    other = in_log(b"another history", index=0, size=size)
    error = refused(GOLDEN, known_checkpoints=[other.note], log=SharedLog().files.get)
    assert error.code == "SPLIT_VIEW"
    assert f"as of {size} entries" in str(error)


def test_a_certificate_that_only_one_history_holds_is_a_split_view() -> None:
    """The issuer shows the certificate's reader a log that it shows to nobody else."""
    log = SharedLog()
    private = with_proof(
        in_log(certificate_entry(sample_payload(transparency_log=ORIGIN), KEY.key_id), index=1, size=4)
    )
    assert refused(private, log=log.files.get).code == "SPLIT_VIEW"


def test_two_histories_that_part_at_the_last_entry_are_told_apart() -> None:
    log, other = SharedLog(), SharedLog(last=b"what others were shown")
    assert refused(GOLDEN, known_checkpoints=[other.notes[12]], log=log.files.get).code == "SPLIT_VIEW"
    verify(GOLDEN, known_checkpoints=[other.notes[11]], log=log.files.get)


def test_files_that_do_not_reach_a_checkpoint_or_are_broken_prove_nothing() -> None:
    log = SharedLog()
    short = {name: content for name, content in log.files.items() if name != "checkpoint"} | {
        "checkpoint": log.notes[4]
    }
    assert refused(GOLDEN, log=short.get).code == "CHECKPOINT_INVALID"
    assert refused(GOLDEN, log={}.get).code == "CHECKPOINT_INVALID"
    assert refused(GOLDEN, log={"checkpoint": log.notes[12]}.get).code == "CHECKPOINT_INVALID"
    forged = {**log.files, "checkpoint": Checkpoint(ORIGIN, 12, bytes(32)).sign(signing_key(3))}
    assert refused(GOLDEN, log=forged.get).code == "CHECKPOINT_INVALID"
    tampered = {name: bytes(len(content)) if "tile/0" in name else content for name, content in log.files.items()}
    assert refused(GOLDEN, log=tampered.get).code == "CHECKPOINT_INVALID"  # a spoilt copy accuses nobody


def test_a_known_checkpoint_that_the_log_did_not_sign_is_no_evidence() -> None:
    forged = in_log(b"another history", key=signing_key(3))
    assert refused(GOLDEN, known_checkpoints=[forged.note]).code == "CHECKPOINT_INVALID"
    assert refused(GOLDEN, known_checkpoints=[b"", b"\xff"]).code == "CHECKPOINT_INVALID"
    assert refused(GOLDEN, known_checkpoints=[PROOF.note] * 65).code == "CHECKPOINT_INVALID"


# Witnesses


def test_a_known_witness_is_named_and_an_unknown_one_is_ignored() -> None:
    data = with_proof(cosigned(PROOF))
    assert any(
        "cosigned by 'witness.example/w1'" in check for check in verify(data, key_set(witnesses=(WITNESS_KEY,))).checks
    )
    assert not any("cosigned" in check for check in verify(data).checks)


def test_a_line_in_a_known_witnesss_name_that_it_did_not_sign_is_refused() -> None:
    keys = key_set(witnesses=(WITNESS_KEY,))
    assert refused(with_proof(cosigned(PROOF, key=signing_key(6))), keys).code == "CHECKPOINT_INVALID"
    assert refused(with_proof(cosigned(PROOF, seconds=2**63)), keys).code == "CHECKPOINT_INVALID"


def test_a_cosignature_in_the_name_of_the_log_is_no_signature_of_the_log() -> None:
    note = Checkpoint(ORIGIN, 5, PROOF.checkpoint.root).sign(signing_key(3))
    proof = cosigned(LogProof(PROOF.index, PROOF.hashes, note))
    assert refused(with_proof(proof), key_set(witnesses=(WITNESS_KEY,))).code == "CHECKPOINT_INVALID"


def test_cosignatures_are_added_once_and_only_of_known_witnesses() -> None:
    answer = cosigned(PROOF).note.removeprefix(PROOF.note)
    once = add_cosignatures(PROOF.note, answer, [WITNESS_KEY])
    assert once == cosigned(PROOF).note
    assert add_cosignatures(once, answer, [WITNESS_KEY]) == once


# Forms


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda _: "c2sp.org/tlog-proof@v1",
        lambda _: "c2sp.org/tlog-proof@v1\n\n",
        lambda text: text.replace("@v1", "@v2"),
        lambda text: text.replace("index 2", "index 02"),
        lambda text: text.replace("index 2", "index -2"),
        lambda text: text.replace("index 2", "index 2 "),
        lambda text: text.replace("index 2", "index 2.0"),
        lambda text: text.replace("index 2", "index ٢"),
        lambda text: text.replace("index 2", "index " + "9" * 5_000),
        lambda text: text.replace("index 2\n", ""),
        lambda text: text.replace("index 2", "extra AAAA\nindex 2"),
        lambda text: text.replace("index 2\n", "index 2\nAAAA\n"),
        lambda text: text.replace("index 2\n", "index 2\n\n"),
        lambda text: text.replace("index 2\n", "index 2\n" + "A" * 43 + "=\n" * 65),
        lambda text: text.replace("index 2\n", "index 2\n" + ("A" * 43 + "=\n") * 65),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n",
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\n5\n", "\n05\n"),
        lambda text: text.replace("\n5\n", "\n5\nan extension\n"),
        lambda text: text + "— x " + "A" * 70_000 + "\n",
        lambda text: text + "— x AAAAAAAA\n" * 65,
    ],
)
def test_a_proof_in_any_other_form_is_refused(change: Callable[[str], str]) -> None:
    assert refused(with_text(change)).code in ("BUNDLE_MALFORMED", "CHECKPOINT_INVALID")


@pytest.mark.parametrize("value", [None, 1, [], {}, True])
def test_a_proof_that_is_no_text_is_refused(value: Any) -> None:
    assert refused(canonical_json(json.loads(GOLDEN) | {"logProof": value})).code == "BUNDLE_MALFORMED"


def test_a_date_beyond_what_a_date_can_name_is_no_cosignature() -> None:
    assert not WITNESS_KEY.signed((2**64 - 1).to_bytes(8, "big") + bytes(64), "x\n")
    assert datetime.fromtimestamp(253_402_300_799, UTC).year == 9999


# A log key whose time is over


def test_a_retired_log_key_vouches_for_what_was_issued_in_its_time_and_for_nothing_later() -> None:
    issued = open_bundle(GOLDEN, key_set()).payload.issued_at

    def retired(end: datetime, *more: NoteKey) -> KeySet:
        return key_set(logs=(LogKey(ORIGIN, LOG_KEY.public_key, end), *more))

    verify(GOLDEN, retired(issued + timedelta(milliseconds=1)))
    error = refused(GOLDEN, retired(issued))
    assert (error.code, error.place) == ("KEY_EXPIRED", "logProof")
    fresh = signing_key(8)
    assert refused(GOLDEN, retired(issued, NoteKey(ORIGIN, fresh.public_key))).code == "KEY_EXPIRED"
    both = LogProof(PROOF.index, PROOF.hashes, PROOF.checkpoint.sign(fresh, LOG_KEY))
    verify(with_proof(both), retired(issued, NoteKey(ORIGIN, fresh.public_key)))
    verify(with_proof(both), key_set())  # whoever has not heard of the new key yet
