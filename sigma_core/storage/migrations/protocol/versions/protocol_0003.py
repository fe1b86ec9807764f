"""Submissions say which operators have an interest in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "protocol_0003"
down_revision = "protocol_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("submissions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("conflicts", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("submissions", schema=None) as batch_op:
        batch_op.drop_column("conflicts")
