"""New keys for a deployment, for certificates or for its log: published ahead, and told in the public log with actor and reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sigma_core.canonical import sha256_hex
from sigma_core.certificates.keyset import LogKey, TrustedKey, key_id_of
from sigma_core.certificates.log.entry import EntryKind, key_set_entry
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.audit_trail import record_change
from sigma_core.lifecycle.transparency import NewEntry, append_entries, appending, publish_log
from sigma_core.timestamps import utc_now

LOG_OVERLAP = timedelta(days=7)
"""For so long both log keys sign, unless somebody says otherwise: monitors and witnesses hold keys that people configured."""

Key = TypeVar("Key", TrustedKey, LogKey)


@dataclass(frozen=True, slots=True)
class Rotation(Generic[Key]):
    """The new key, the hash of the key set that says when it takes over, and where the log tells it."""

    key: Key
    key_set_sha256: str
    log_index: int


def rotate_certificate_key(
    deployment: Deployment, *, actor: str, reason: str, now: datetime | None = None
) -> Rotation[TrustedKey]:
    """Publish a new key that takes over in a minute, and log the key set. Asked again before that, it is the same rotation."""
    now = now or utc_now()
    key = deployment.rotate_signing_key(now)
    return _told(deployment, key, "keys.rotate", actor=actor, reason=reason, now=now)


def rotate_log_key(
    deployment: Deployment,
    *,
    actor: str,
    reason: str,
    overlap: timedelta = LOG_OVERLAP,
    now: datetime | None = None,
) -> Rotation[LogKey]:
    """Publish a new log key, and log the key set, under a checkpoint that both keys sign; the old one signs on for ``overlap``.

    Asked again before that is over, it is the same rotation. The old key's checkpoints go on vouching for certificates that were
    issued in its time.
    """
    now = now or utc_now()
    # Nobody signs a checkpoint by the old key set once the new one is out.
    with deployment.log_folder.lock():
        key = deployment.rotate_log_key(now, overlap)
    return _told(deployment, key, "keys.rotate-log", actor=actor, reason=reason, now=now)


def _told(deployment: Deployment, key: Key, action: str, *, actor: str, reason: str, now: datetime) -> Rotation[Key]:
    digest = sha256_hex(deployment.trusted_keys.to_bytes())
    entry = key_set_entry(key_set_sha256=digest, actor=actor, reason=reason, at=now)
    with appending(deployment) as session:
        [logged] = append_entries(session, [NewEntry(f"key-set/{digest}", EntryKind.KEY_SET, digest, entry)])
        if logged.entry == entry:
            record_change(
                session,
                action,
                key_id_of(key.public_key),
                actor=actor,
                reason=reason,
                before={},
                after={"keySetSha256": digest, "logIndex": logged.index},
                at=now,
            )
    publish_log(deployment)
    return Rotation(key, digest, logged.index)
