"""The transparency log of a deployment: what is issued is in it, a crash anywhere is mended, and a history is never signed twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from issued import decided_round
from sqlalchemy import delete, update

from sigma_core.certificates.keyset import KeySet
from sigma_core.certificates.log.checkpoint import Checkpoint, check_same_history
from sigma_core.certificates.log.cosignature import Cosignature, WitnessKey, cosigned_message
from sigma_core.certificates.log.entry import EntryKind
from sigma_core.certificates.log.note import SignatureLine, signers_of, split_note
from sigma_core.certificates.log.refusals import LogError, NoteError
from sigma_core.certificates.verify import verify_bundle
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.certify import issue_certificate, log_certificate
from sigma_core.lifecycle.log_audit import audit_log
from sigma_core.lifecycle.transparency import (
    NewEntry,
    append_entries,
    appending,
    keep_cosignatures,
    newest_checkpoint,
    prove,
    publish_log,
    published_file,
    published_tree,
    request_for_witness,
)
from sigma_core.storage.protocol import CertificateRow, LogCheckpointRow, LogEntryRow
from sigma_core.submissions.package import Package
from sigma_core.timestamps import utc_now

on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)


def entry(number: int) -> NewEntry:
    return NewEntry(f"test/{number}", EntryKind.KEY_SET, f"subject-{number}", b"entry %d" % number)


def grow(deployment: Deployment, *numbers: int) -> Checkpoint:
    with appending(deployment) as session:
        append_entries(session, [entry(number) for number in numbers])
    return publish_log(deployment)


# What is in it


@on_each_database
def test_entries_are_appended_once_in_order_and_proved_under_a_signed_checkpoint(deployment: Deployment) -> None:
    assert grow(deployment).size == 0
    grow(deployment, 0, 1, 2)
    checkpoint = grow(deployment, 1, 3, 0)
    assert checkpoint.size == 4
    for index in range(4):
        proof = prove(deployment, index)
        assert proof.proves(b"entry %d" % index)
        assert proof.checkpoint == checkpoint
    assert grow(deployment) == checkpoint
    assert audit_log(deployment).faults == ()
    with pytest.raises(LogError, match="under no checkpoint"):
        prove(deployment, 4)


def test_every_checkpoint_is_kept_and_is_consistent_with_every_other(deployment: Deployment) -> None:
    sizes = [grow(deployment, *range(size)) for size in (1, 2, 255, 256, 257, 300)]
    for earlier in sizes:
        for later in sizes:
            small, big = sorted((earlier.size, later.size))
            check_same_history(earlier, later, published_tree(deployment, big).consistency_proof(small))
    assert audit_log(deployment).checkpoints == 6


def test_a_split_view_is_told_by_two_checkpoints(deployment: Deployment) -> None:
    one = grow(deployment, 0, 1)
    other = Checkpoint(one.origin, 2, bytes(32))
    for proof in ((), (bytes(32),)):
        with pytest.raises(LogError) as error:
            check_same_history(one, other, proof)
        assert error.value.code == "LOG_SPLIT_VIEW"
    with pytest.raises(LogError, match="two logs"):
        check_same_history(one, Checkpoint("other.example/log", 2, one.root), ())


@on_each_database
def test_a_certificate_is_in_the_log_and_its_bundle_proves_it(
    deployment: Deployment, honest: Package, submitted: Callable[[Package], str]
) -> None:
    round_id = decided_round(deployment, submitted(honest))
    log_certificate(deployment, round_id)
    log_certificate(deployment, round_id)
    assert newest_checkpoint(deployment) is None  # decided and logged, not published yet
    row = issue_certificate(deployment, round_id)
    assert row is not None
    verified = verify_bundle(deployment.blobs.get(row.bundle_sha256), deployment.trusted_keys, at=row.issued_at)
    assert verified.checkpoint is not None
    assert verified.checkpoint.size == 1
    assert verified.payload.status_list is not None
    log_certificate(deployment, round_id)
    assert publish_log(deployment) == verified.checkpoint
    assert audit_log(deployment).faults == ()


# What anybody may read


def test_the_logs_files_are_read_by_their_paths_and_nothing_else_is(deployment: Deployment) -> None:
    grow(deployment, *range(300))
    for path in ("checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000"):
        assert published_file(deployment, path) == (deployment.settings.transparency_log / path).read_bytes()
    (deployment.settings.transparency_log / "secret").write_bytes(b"x")
    for path in (
        "",
        ".lock",
        "secret",
        "../keys/log.pem",
        "tile/0/../../secret",
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/0/000.p/044",
        "tile/00/000",
        "tile/64/000",
        "tile/0/0",
        "tile/0/x000",
        "tile/0/000/",
        "tile/0/000\n",
        "/checkpoint",
        "tile/0/٠٠٠",
        "tile/0/" + "x000/" * 1_000 + "000",
    ):
        assert published_file(deployment, path) is None, path


# Crashes


def test_an_issue_that_is_killed_at_any_step_is_finished_by_the_next_process(
    deployment: Deployment, honest: Package, submitted: Callable[[Package], str], tmp_path: Path
) -> None:
    """SIGKILL just before every file operation, writing statement, commit and blob of the stage."""
    round_id = decided_round(deployment, submitted(honest))
    _ = deployment.trusted_keys  # the keys are made by the deployment's first use, which is tested on its own
    home = deployment.settings.home
    deployment.close()
    ran = subprocess.run(
        [sys.executable, Path(__file__).with_name("killed_issue.py"), home, round_id, tmp_path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(ran.stdout)
    assert found["problems"] == []
    assert found["logged"] == [0, 1]  # killed before the decision was committed, and after it
    assert 25 < found["steps"] < 400


def test_files_that_are_gone_are_written_anew_from_the_entries(deployment: Deployment) -> None:
    checkpoint = grow(deployment, *range(300))
    shutil.rmtree(deployment.settings.transparency_log)
    assert publish_log(deployment) == checkpoint
    assert audit_log(deployment).faults == ()
    (deployment.settings.transparency_log / "checkpoint").unlink()
    assert grow(deployment, 300).size == 301
    assert audit_log(deployment).faults == ()


def test_a_proof_holds_while_a_longer_log_does_away_with_partial_files(deployment: Deployment) -> None:
    before = grow(deployment, *range(250))
    grow(deployment, *range(250, 260))
    tree = published_tree(deployment, 250)
    assert tree.root() == before.root
    assert len(list(tree.entries())) == 250


# What is never signed


def test_a_database_that_was_set_back_is_refused(deployment: Deployment) -> None:
    grow(deployment, 0, 1, 2)
    with deployment.sessions.begin() as session:
        session.execute(delete(LogCheckpointRow))
        session.execute(delete(LogEntryRow).where(LogEntryRow.index == 2))
    for numbers in ((), (7, 8, 9)):
        with pytest.raises(LogError) as error:
            grow(deployment, *numbers)
        assert error.value.code == "LOG_ROLLED_BACK"


def test_files_that_were_changed_are_not_built_upon(deployment: Deployment) -> None:
    grow(deployment, 0, 1, 2)
    tile = deployment.settings.transparency_log / "tile" / "0" / "000.p" / "3"
    tile.write_bytes(bytes(96))
    with pytest.raises(LogError) as error:
        grow(deployment, 3)
    assert error.value.code == "LOG_CORRUPT"


def test_entries_that_were_changed_are_not_signed_again(deployment: Deployment) -> None:
    grow(deployment, 0, 1, 2)
    with deployment.sessions.begin() as session:
        session.execute(update(LogEntryRow).where(LogEntryRow.index == 1).values(entry=b"another"))
    shutil.rmtree(deployment.settings.transparency_log)
    with pytest.raises(LogError, match="do not have the root"):
        publish_log(deployment)


# The monitor


def test_the_monitor_names_every_kind_of_damage(
    deployment: Deployment, honest: Package, submitted: Callable[[Package], str]
) -> None:
    issued = issue_certificate(deployment, decided_round(deployment, submitted(honest)))
    assert issued is not None
    grow(deployment, *range(5))
    log = deployment.settings.transparency_log

    def faults() -> str:
        return "; ".join(audit_log(deployment).faults)

    def damaged(path: Path, content: bytes) -> str:
        kept = path.read_bytes()
        path.write_bytes(content)
        found = faults()
        path.write_bytes(kept)
        return found

    assert faults() == ""
    assert "checkpoint is not the newest" in damaged(log / "checkpoint", b"x")
    assert "tile/0" in damaged(log / "tile/0/000.p/6", bytes(6 * 32))
    bundle = (log / "tile/entries/000.p/6").read_bytes()
    assert "tile/0" in damaged(log / "tile/entries/000.p/6", bundle.replace(b"entry 3", b"entry 9"))
    assert "bytes after" in damaged(log / "tile/entries/000.p/6", bundle + b"x")

    def changed(statement: object, back: object) -> str:
        with deployment.sessions.begin() as session:
            session.execute(statement)  # type: ignore[call-overload]
        found = faults()
        with deployment.sessions.begin() as session:
            session.execute(back)  # type: ignore[call-overload]
        return found

    one = update(LogCheckpointRow).where(LogCheckpointRow.size == 1)
    with deployment.read_sessions() as session:
        first = session.get_one(LogCheckpointRow, 1)
    forged = Checkpoint(deployment.log_origin, 1, bytes(32)).sign(*deployment.log_keys_at(utc_now()))
    undo = one.values(root=first.root, note=first.note)
    assert "does not begin with it" in changed(one.values(root=bytes(32).hex(), note=forged), undo)
    assert "something else than the record" in changed(one.values(root=bytes(32).hex()), undo)
    assert "checkpoint of 1 entries" in changed(one.values(note=b"x"), undo)
    row = update(CertificateRow).where(CertificateRow.id == issued.id)
    assert "which the log does not tell" in changed(row.values(status="REVOKED"), row.values(status="APPROVED"))
    assert "another payload" in changed(
        row.values(payload_hash="0x" + "0" * 64), row.values(payload_hash=issued.payload_hash)
    )
    recorded = update(LogEntryRow).where(LogEntryRow.index == 3)
    assert "published otherwise than recorded" in changed(
        recorded.values(entry=b"x"), recorded.values(entry=b"entry 2")
    )
    assert faults() == ""


# Witnesses


def test_a_witness_is_asked_with_a_consistency_proof_and_its_cosignature_is_kept(deployment: Deployment) -> None:
    grow(deployment, 0, 1, 2)
    checkpoint = grow(deployment, 3, 4)
    request = request_for_witness(deployment, 3)
    head, _, note = request.partition(b"\n\n")
    assert head.startswith(b"old 3\n")
    newest = newest_checkpoint(deployment)
    assert newest is not None
    assert note == newest.note

    witness = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
    key = WitnessKey("witness.example/w1", witness.public_key())
    signature = (1_790_000_000).to_bytes(8, "big") + witness.sign(cosigned_message(1_790_000_000, checkpoint.text))
    answer = f"{SignatureLine(key.name, key.key_id, signature).text}\n".encode()
    with pytest.raises(NoteError, match="not in the key set"):
        keep_cosignatures(deployment, 5, answer)
    published = deployment.trusted_keys
    path = deployment.settings.key_set
    path.write_bytes(KeySet(published.by_id.values(), logs=published.logs, witnesses=[key]).to_bytes())
    row = keep_cosignatures(deployment, 5, answer)
    text, lines = split_note(row.note)
    assert [Cosignature.of(line).witness for line in signers_of(text, lines, [key])] == ["witness.example/w1"]
    assert deployment.log_folder.checkpoint() == row.note
    assert prove(deployment, 0).note == row.note  # bundles from now on carry it
    assert audit_log(deployment).faults == ()
    with pytest.raises(LogError, match="no checkpoint of 4"):
        keep_cosignatures(deployment, 4, answer)
