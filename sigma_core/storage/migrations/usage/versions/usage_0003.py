"""Attempts by round and phase."""

from __future__ import annotations

from alembic import op

revision = "usage_0003"
down_revision = "usage_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("call_attempts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_call_attempts_round_id_phase"), ["round_id", "phase"], unique=False)


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("call_attempts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_call_attempts_round_id_phase"))
