"""The deployment as a Dagster resource: opened once per process, from ``SIGMA_*`` settings."""

from __future__ import annotations

import os
from functools import lru_cache

import dagster as dg

from sigma_core.config import Settings, load_settings
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.opening import open_deployment


@lru_cache(maxsize=4)
def _deployment(settings: Settings) -> Deployment:
    return open_deployment(settings)


@lru_cache(maxsize=1)
def _settings(_environment: frozenset[tuple[str, str]]) -> Settings:
    """The settings of an environment; reading them takes as long as a stage of a small submission."""
    return load_settings()


class SigmaDeployment(dg.ConfigurableResource["SigmaDeployment"]):
    """Databases, blobs, policy and keys of this deployment. Where they are is settings (environment), not run config, so
    that no address or password reaches the event log."""

    def open(self) -> Deployment:
        """The deployment of this process. Raises Unavailable when a database or store cannot be used."""
        return _deployment(_settings(frozenset(os.environ.items())))
