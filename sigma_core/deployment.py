"""One deployment, wired: settings, policy, the two databases, blobs, beacon, population and first weights.

`open_deployment` is what every surface (CLI, API, Dagster) calls. Opening is idempotent and safe from several processes.
"""

from __future__ import annotations

from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from sigma_core.certificates.keys import load_or_create_signing_key
from sigma_core.config import Settings, load_settings
from sigma_core.policy import Policy, load_policy
from sigma_core.storage.blobs import Blobs
from sigma_core.storage.engine import open_engine, session_factory
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
    def signing_key(self) -> Ed25519PrivateKey:
        """The key that seals certificates; made on first use."""
        return load_or_create_signing_key(self.settings.signing_key)

    def close(self) -> None:
        """Release database connections."""
        self.protocol.dispose()
        self.usage.dispose()


def open_deployment(settings: Settings | None = None) -> Deployment:
    """A deployment that is migrated, has its policy on record, a population and a published weights epoch.

    Raises SettingsError, PolicyError, Unavailable or DatabaseNewer.
    """
    # Lifecycle modules take a `Deployment`, so they are imported where the first one exists.
    from sigma_core.lifecycle.population import settle_population  # noqa: PLC0415

    deployment = Deployment(settings or load_settings())
    upgrade(deployment.protocol, "protocol")
    upgrade(deployment.usage, "usage")
    record_policy(deployment)
    settle_population(deployment)
    return deployment


def record_policy(deployment: Deployment) -> None:
    """Keep the policy by its hash before anything is shaped by it."""
    policy = deployment.policy
    with deployment.read_sessions() as session:
        if session.scalar(select(PolicyRow.hash).where(PolicyRow.hash == policy.hash)) is not None:
            return
    deployment.blobs.put(policy.canonical_bytes)
    with deployment.sessions.begin() as session:
        if session.get(PolicyRow, policy.hash) is None:
            session.add(PolicyRow(hash=policy.hash, version=policy.version, first_used_at=utc_now()))
