"""The plan that a service is on is remembered beside the one that its resource is to have."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("resources", sa.Column("service_plan", sa.Text(), nullable=True))
    op.execute("UPDATE resources SET service_plan = plan WHERE config_version > 0 AND state <> 'deprovisioned'")


def downgrade() -> None:
    op.drop_column("resources", "service_plan")
