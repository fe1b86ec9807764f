"""One deployment, wired: settings, policy, the two databases, blobs, beacon, population and first weights.

`open_deployment` is what every surface (CLI, API, Dagster) calls. Opening is idempotent, and safe in several processes.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from urllib.parse import urlsplit

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from sigma_core.assembly.beacon import HashChainBeacon
from sigma_core.certificates.issuer_keys import IssuerKeys
from sigma_core.certificates.keyset import KeySet, LogKey, TrustedKey
from sigma_core.certificates.log.folder import LogFolder
from sigma_core.certificates.signing_key import SigningKey
from sigma_core.config import Settings
from sigma_core.policy import Policy, load_policy
from sigma_core.storage.beacon_secret import load_or_create_secret
from sigma_core.storage.blobs import Blobs
from sigma_core.storage.engine import open_engine, session_factory
from sigma_core.timestamps import utc_now

BEACON_ROUNDS = 65_536
"""Length of each of the deployment's own beacon chains."""


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
        self._to_close: list[Callable[[], None]] = []
        self._beacons: dict[int, HashChainBeacon] = {}

    @property
    def signing_key(self) -> SigningKey:
        """The key that seals certificates now; the first is made on first use."""
        return self.signing_key_at(utc_now())

    def signing_key_at(self, moment: datetime) -> SigningKey:
        """The key that may sign what is dated ``moment``. Raises KeyFileError when this deployment does not hold it."""
        return self._issuer_keys.signing_key_at(moment)

    def rotate_signing_key(self, now: datetime) -> TrustedKey:
        """Publish a new certificate key that takes over soon after ``now``; see `IssuerKeys.rotate`."""
        return self._issuer_keys.rotate(now)

    def log_keys_at(self, moment: datetime) -> tuple[SigningKey, ...]:
        """The keys that sign the log's checkpoints at ``moment``: two while one takes over from the other."""
        return self._issuer_keys.log_keys_at(moment)

    def rotate_log_key(self, now: datetime, overlap: timedelta) -> LogKey:
        """Publish a new log key; see `IssuerKeys.rotate_log_key`."""
        return self._issuer_keys.rotate_log_key(now, overlap)

    @property
    def trusted_keys(self) -> KeySet:
        """The published key set: what this deployment's certificates are verified against. Read again when its file changes.

        Raises KeySetError, or OSError when it cannot be read or written.
        """
        return self._issuer_keys.published()

    @property
    def log_origin(self) -> str:
        """The name of this deployment's log: fixed when its key is first published, wherever the log is served from later."""
        return self._issuer_keys.log_origin

    @cached_property
    def _issuer_keys(self) -> IssuerKeys:
        return IssuerKeys(
            self.settings.signing_key, self.settings.log_key, self.settings.key_set, log_origin(self.settings)
        )

    @cached_property
    def log_folder(self) -> LogFolder:
        """The transparency log's static files."""
        return LogFolder(self.settings.transparency_log)

    def own_beacon(self, number: int) -> HashChainBeacon:
        """The deployment's own beacon chain with this number (from 0), with nothing revealed: each follows the one before when that is
        used up. All are made from one secret, which is made on first use. How far they are revealed stands in the database
        (`sigma_core.lifecycle.beacon`)."""
        if number not in self._beacons:
            secret = load_or_create_secret(self.settings.beacon_key, BEACON_ROUNDS)
            if number:
                secret = hmac.digest(secret, f"sigma-beacon-chain-v1 {number}".encode(), "sha256")
            self._beacons[number] = HashChainBeacon.create(secret, BEACON_ROUNDS)
        return self._beacons[number]

    def on_close(self, release: Callable[[], None]) -> None:
        """Have ``release`` called before the databases close."""
        self._to_close.append(release)

    def close(self) -> None:
        """Release what was opened for this deployment, then its database connections."""
        while self._to_close:
            self._to_close.pop()()
        self.protocol.dispose()
        self.usage.dispose()


def public_base(settings: Settings) -> str:
    """Where clients reach the public plane, without a slash at the end."""
    return f"{settings.public_url.rstrip('/')}/api/v1/public"


def log_origin(settings: Settings) -> str:
    """The origin of a log that is served under the public address: that address without its scheme (c2sp.org/tlog-tiles)."""
    address = urlsplit(public_base(settings))
    return f"{address.netloc}{address.path}/log"
