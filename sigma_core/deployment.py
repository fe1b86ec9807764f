"""One deployment, wired: settings, policy, the two databases, blobs, beacon, population and first weights.

`open_deployment` is what every surface (CLI, API, Dagster) calls. Opening is idempotent, and safe in several processes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from sigma_core.assembly.beacon import HashChainBeacon
from sigma_core.certificates.keyset import KeySet, TrustedKey
from sigma_core.certificates.signing_key import SigningKey, load_or_create_signing_key
from sigma_core.config import Settings
from sigma_core.policy import Policy, load_policy
from sigma_core.storage.beacon_secret import load_or_create_secret
from sigma_core.storage.blobs import Blobs
from sigma_core.storage.engine import open_engine, session_factory
from sigma_core.storage.files import write_whole

BEACON_ROUNDS = 65_536
"""Length of the deployment's own beacon chain."""


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
        """The deployment's own beacon chain with nothing revealed; its secret is made on first use. How far it is revealed
        stands in the database (`sigma_core.lifecycle.beacon`)."""
        return HashChainBeacon.create(load_or_create_secret(self.settings.beacon_key, BEACON_ROUNDS), BEACON_ROUNDS)

    def close(self) -> None:
        """Release database connections."""
        self.protocol.dispose()
        self.usage.dispose()
