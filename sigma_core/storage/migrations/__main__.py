"""``python -m sigma_core.storage.migrations DATABASE "what changes"``: write the next revision from the models.

For developers of SIGMA; docs/migrations.md says how to go on.
"""

from __future__ import annotations

import sys
from typing import get_args

from alembic import command

from sigma_core.storage.engine import open_engine
from sigma_core.storage.migrations import Database, alembic_config, revisions


def write_revision(database: Database, message: str) -> str:
    """Compare the models with the database that all revisions so far make, write the difference, and return its id."""
    name = f"{database}_{len(revisions(database)) + 1:04}"
    config = alembic_config(database)
    with open_engine("sqlite://").connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        command.revision(config, message=message, autogenerate=True, rev_id=name)
    return name


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in get_args(Database):
        sys.exit(__doc__)
    sys.stderr.write(f"wrote {write_revision(sys.argv[1], sys.argv[2])}: read it, then format it with ruff\n")  # type: ignore[arg-type]
