"""Rotating the certificate key of a deployment: one change, told in the log, and old certificates stay good."""

from __future__ import annotations

import json
from collections.abc import Callable

from issued import issued
from sqlalchemy import select

from sigma_core.canonical import sha256_hex
from sigma_core.certificates.issuer_keys import OVERLAP
from sigma_core.certificates.verify import verify_bundle
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.key_rotation import rotate_certificate_key
from sigma_core.lifecycle.log_audit import audit_log
from sigma_core.storage.protocol import AuditTrailRow, LogEntryRow
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
