"""One deployment, wired: settings, policy, the two databases, blobs, beacon, population and first weights.

`open_deployment` is what every surface (CLI, API, Dagster) calls. Opening is idempotent, and safe in several processes.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from sigma_core.assembly.beacon import HashChainBeacon
from sigma_core.certificates.keyset import KeySet, TrustedKey
from sigma_core.certificates.signing_key import SigningKey, load_or_create_signing_key
from sigma_core.config import Settings, load_settings
from sigma_core.policy import Policy, load_policy
from sigma_core.storage.blobs import Blobs
from sigma_core.storage.engine import open_engine, session_factory
from sigma_core.storage.files import write_whole
from sigma_core.storage.migrations import upgrade
from sigma_core.storage.protocol import PolicyRow
from sigma_core.timestamps import utc_now


class Deployment:
    """Handles to everything that a stage or a surface needs. Thread-safe; one per process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.policy: Policy = load_policy(settings.policy_file)
        self.protocol: Engine = open_engine(settings.protocol_url)
        self.usage: Engine = open_engine(settings.usage_url)
        self.sessions: sessionmaker[Session] = session_factory(self.protocol)
        self.read_sessions: sessionmaker[Session] = session_factory(self.protocol, read_only=True)
        self.usage_sessions: sessionmaker[Session] = session_factory(self.usage)
        self.blobs = Blobs(settings.blobs)

    @cached_property
    def signing_key(self) -> SigningKey:
        """The key that seals certificates; made on first use."""
        return load_or_create_signing_key(self.settings.signing_key)

    @cached_property
    def trusted_keys(self) -> KeySet:
        """The published key set: what this deployment's certificates are verified against.

        The file beside the signing key is written once, with the key in force since its own file was made; an operator who
        rotates keys edits it. Raises KeySetError, or OSError when it cannot be read or written.
        """
        path = self.settings.key_set
        if not path.exists():
            key = self.signing_key
            made = datetime.fromtimestamp(int(self.settings.signing_key.stat().st_mtime), UTC)
            first = KeySet([TrustedKey(key.public_key, valid_from=made)])
            write_whole(path, first.to_bytes())
        return KeySet.parse(path.read_bytes())

    @cached_property
    def beacon(self) -> HashChainBeacon:
        """The deployment's own beacon chain (secret); made on first use."""
        from sigma_core.lifecycle.beacon import open_beacon  # noqa: PLC0415

        return open_beacon(self)

    def close(self) -> None:
        """Release database connections."""
        self.protocol.dispose()
        self.usage.dispose()


def open_deployment(settings: Settings | None = None) -> Deployment:
    """A deployment that is migrated, has its policy on record, a population and a published weights epoch.

    Raises SettingsError, PolicyError, Unavailable or DatabaseNewer.
    """
    # Lifecycle modules take a `Deployment`, so they are imported where the first one exists.
    from sigma_core.lifecycle.beacon import settle_beacon  # noqa: PLC0415
    from sigma_core.lifecycle.population import settle_population  # noqa: PLC0415

    deployment = Deployment(settings or load_settings())
    try:
        upgrade(deployment.protocol, "protocol")
        upgrade(deployment.usage, "usage")
        record_policy(deployment)
        settle_beacon(deployment)
        settle_population(deployment)
    except BaseException:
        deployment.close()
        raise
    return deployment


def record_policy(deployment: Deployment) -> None:
    """Keep the policy by its hash before anything is shaped by it."""
    policy = deployment.policy
    with deployment.read_sessions() as session:
        if session.scalar(select(PolicyRow.hash).where(PolicyRow.hash == policy.hash)) is not None:
            return
    deployment.blobs.put(policy.canonical_bytes)
    # Another process may be just as far: the second one to write finds the row there.
    with suppress(IntegrityError), deployment.sessions.begin() as session:
        session.add(PolicyRow(hash=policy.hash, version=policy.version, first_used_at=utc_now()))
