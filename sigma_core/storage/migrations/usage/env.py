"""Alembic environment of the usage database."""

from sigma_core.storage.migrations.environment import run
from sigma_core.storage.usage import UsageBase

run(UsageBase.metadata)
