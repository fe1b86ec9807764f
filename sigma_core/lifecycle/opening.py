"""Opening a deployment: what every surface (CLI, API, Dagster) does first. Idempotent, and safe from several processes."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from sigma_core.config import Settings, load_settings
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.beacon import settle_beacon
from sigma_core.lifecycle.population import seat_language_models, settle_population
from sigma_core.storage.engine import one_at_a_time
from sigma_core.storage.migrations import upgrade
from sigma_core.storage.protocol import PolicyRow
from sigma_core.timestamps import utc_now


def open_deployment(settings: Settings | None = None) -> Deployment:
    """A deployment that is migrated, has its policy on record, a population and a published weights epoch.

    Raises SettingsError, PolicyError, Unavailable or DatabaseNewer.
    """
    deployment = Deployment(settings or load_settings())
    try:
        # Several processes may meet an empty database: one settles it, the others wait and find it settled.
        with one_at_a_time(deployment.protocol, "sigma opening"):
            upgrade(deployment.protocol, "protocol")
            upgrade(deployment.usage, "usage")
            record_policy(deployment)
            settle_beacon(deployment)
            settle_population(deployment)
            seat_language_models(deployment)
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
