"""Rotating the certificate key of a deployment: one change, told in the log, and old certificates stay good."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from issued import issued
from sqlalchemy import select

from sigma_core.canonical import sha256_hex
from sigma_core.certificates.issuer_keys import OVERLAP
from sigma_core.certificates.keyset import KeySet
from sigma_core.certificates.log.checkpoint import Checkpoint
from sigma_core.certificates.log.note import split_note
from sigma_core.certificates.refusals import VerificationError
from sigma_core.certificates.verify import verify_bundle
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.key_rotation import rotate_certificate_key, rotate_log_key
from sigma_core.lifecycle.log_audit import audit_log
from sigma_core.lifecycle.transparency import newest_checkpoint
from sigma_core.storage.protocol import AuditTrailRow, CertificateRow, LogCheckpointRow, LogEntryRow
from sigma_core.submissions.package import Package
from sigma_core.timestamps import utc_now


def test_a_rotation_is_logged_with_actor_and_reason_and_old_certificates_stay_good(
    deployment: Deployment, honest: Package, submitted: Callable[[Package], str]
) -> None:
    certificate = issued(deployment, submitted(honest))
    old, now = deployment.signing_key.key_id, utc_now()
    rotation = rotate_certificate_key(deployment, actor="operator:ada", reason="yearly", now=now)
    assert deployment.signing_key_at(now + OVERLAP).key_id == rotation.key.key_id != old
    with deployment.read_sessions() as session:
        entry = json.loads(session.get_one(LogEntryRow, rotation.log_index).entry)
        [trail] = session.scalars(select(AuditTrailRow).where(AuditTrailRow.action == "keys.rotate"))
    assert (entry["kind"], entry["actor"], entry["reason"]) == ("KEY_SET", "operator:ada", "yearly")
    assert entry["keySetSha256"] == sha256_hex(deployment.settings.key_set.read_bytes())
    assert (trail.actor, trail.subject) == ("operator:ada", rotation.key.key_id)
    bundle = deployment.blobs.get(certificate.bundle_sha256)
    later = now + OVERLAP * 2
    assert verify_bundle(bundle, deployment.trusted_keys, at=later).key_id == old
    again = rotate_certificate_key(deployment, actor="operator:eve", reason="once more", now=now)
    assert (again.key.key_id, again.log_index) == (rotation.key.key_id, rotation.log_index)
    assert audit_log(deployment).faults == ()


def test_a_log_rotation_is_logged_and_old_and_new_certificates_verify_with_the_new_key_set(
    deployment: Deployment, honest: Package, submitted: Callable[[Package], str]
) -> None:
    before = issued(deployment, submitted(honest))
    pinned, now = deployment.trusted_keys, utc_now()
    rotation = rotate_log_key(deployment, actor="operator:ada", reason="yearly", now=now)
    during = issued(deployment, submitted(honest), "run-2")

    def keys_that_verify(row: CertificateRow) -> list[KeySet]:
        bundle, good = deployment.blobs.get(row.bundle_sha256), []
        for keys in (pinned, deployment.trusted_keys):
            with suppress(VerificationError):
                verify_bundle(bundle, keys, at=utc_now())
                good.append(keys)
        return good

    assert keys_that_verify(before) == keys_that_verify(during) == [pinned, deployment.trusted_keys]
    with deployment.read_sessions() as session:
        entry = json.loads(session.get_one(LogEntryRow, rotation.log_index).entry)
        [trail] = session.scalars(select(AuditTrailRow).where(AuditTrailRow.action == "keys.rotate-log"))
        [checkpoint, *_] = session.scalars(select(LogCheckpointRow).order_by(LogCheckpointRow.size.desc()))
    assert (entry["kind"], entry["reason"]) == ("KEY_SET", "yearly")
    assert entry["keySetSha256"] == sha256_hex(deployment.settings.key_set.read_bytes())
    assert trail.actor == "operator:ada"
    assert len(split_note(checkpoint.note)[1]) == 2
    again = rotate_log_key(deployment, actor="operator:eve", reason="once more", now=now + timedelta(days=1))
    assert (again.key, again.log_index) == (rotation.key, rotation.log_index)
    assert audit_log(deployment).faults == ()


def test_after_the_overlap_the_new_log_key_signs_alone_and_the_log_goes_on(
    deployment: Deployment, honest: Package, submitted: Callable[[Package], str]
) -> None:
    before = issued(deployment, submitted(honest))
    pinned = deployment.trusted_keys
    past = utc_now() - timedelta(days=1)
    rotation = rotate_log_key(deployment, actor="operator:ada", reason="yearly", overlap=timedelta(hours=1), now=past)
    after = issued(deployment, submitted(honest), "run-2")
    bundle = deployment.blobs.get(after.bundle_sha256)
    checkpoint = verify_bundle(bundle, deployment.trusted_keys, at=utc_now()).checkpoint
    assert checkpoint is not None
    assert checkpoint.size == 3
    newest = newest_checkpoint(deployment)
    assert newest is not None
    assert Checkpoint.open(newest.note, rotation.key) == checkpoint
    with pytest.raises(VerificationError) as error:
        verify_bundle(bundle, pinned, at=utc_now())
    assert error.value.code == "CHECKPOINT_INVALID"
    with pytest.raises(VerificationError) as error:  # dated after the end of the key that its checkpoint is signed by
        verify_bundle(deployment.blobs.get(before.bundle_sha256), deployment.trusted_keys, at=utc_now())
    assert error.value.code == "KEY_EXPIRED"
    assert audit_log(deployment).faults == ()
