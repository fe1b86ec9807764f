"""What the two alembic environments share: run on the connection that the caller gives, inside its transaction."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import MetaData

from sigma_core.storage.types import UtcDateTime


def _render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    # Without this a generated revision names the type without importing it.
    if kind == "type" and isinstance(item, UtcDateTime):
        autogen.imports.add("from sigma_core.storage.types import UtcDateTime")
        return "UtcDateTime()"
    return False


def run(metadata: MetaData) -> None:
    """Run the requested command on ``config.attributes["connection"]``."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        render_item=_render_item,
        render_as_batch=True,
        compare_type=True,
        transaction_per_migration=False,
    )
    context.run_migrations()
