"""A new certificate key for a deployment: published ahead of its time, and told in the public log with actor and reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sigma_core.canonical import sha256_hex
from sigma_core.certificates.keyset import TrustedKey
from sigma_core.certificates.log.entry import EntryKind, key_set_entry
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.audit_trail import record_change
from sigma_core.lifecycle.transparency import NewEntry, append_entries, appending, publish_log
from sigma_core.timestamps import utc_now


@dataclass(frozen=True, slots=True)
class Rotation:
    """The key that takes over at its ``valid_from``, the hash of the key set that says so, and where the log tells it."""

    key: TrustedKey
    key_set_sha256: str
    log_index: int


def rotate_certificate_key(deployment: Deployment, *, actor: str, reason: str, now: datetime | None = None) -> Rotation:
    """Publish a new key that takes over in a minute, and log the key set. Asked again before that, it is the same rotation."""
    now = now or utc_now()
    key = deployment.rotate_signing_key(now)
    digest = sha256_hex(deployment.trusted_keys.to_bytes())
    entry = key_set_entry(key_set_sha256=digest, actor=actor, reason=reason, at=now)
    with appending(deployment) as session:
        [logged] = append_entries(session, [NewEntry(f"key-set/{digest}", EntryKind.KEY_SET, digest, entry)])
        if logged.entry == entry:
            record_change(
                session,
                "keys.rotate",
                key.key_id,
                actor=actor,
                reason=reason,
                before={},
                after={"keySetSha256": digest, "logIndex": logged.index},
                at=now,
            )
    publish_log(deployment)
    return Rotation(key, digest, logged.index)
