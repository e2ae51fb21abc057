"""On whose word a batch goes on; what Heroku's 401 and an operator's suspension keep waiting."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_WAITS = "suspension_waits_since"


def upgrade() -> None:
    op.add_column("batches", sa.Column("ordered_by", sa.Text(), nullable=True))
    op.execute("UPDATE batches SET ordered_by = actor")
    op.alter_column("batches", "ordered_by", nullable=False)
    op.add_column("resources", sa.Column("unauthorized_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("resources", sa.Column(_WAITS, postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.create_index(
        f"ix_resources_find_{_WAITS}", "resources", [_WAITS], postgresql_where=sa.text(f"{_WAITS} IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index(f"ix_resources_find_{_WAITS}", "resources")
    op.drop_column("resources", _WAITS)
    op.drop_column("resources", "unauthorized_at")
    op.drop_column("batches", "ordered_by")
