"""Alembic environment of the protocol database."""

from sigma_core.storage.migrations.environment import run
from sigma_core.storage.protocol import ProtocolBase

run(ProtocolBase.metadata)
