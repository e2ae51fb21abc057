"""History and sign-ins name their resource without a foreign key.

To check one, Postgres looks the resource of each row up and locks it: a third of what a provision cost the database,
and half of a sign-in. No resource's row is ever deleted, and both kinds are written for resources that were just found.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TABLES = ("events", "sign_ins")


def upgrade() -> None:
    for table in _TABLES:
        op.drop_constraint(f"fk_{table}_resource_uuid", table, type_="foreignkey")


def downgrade() -> None:
    for table in _TABLES:
        op.create_foreign_key(f"fk_{table}_resource_uuid", table, "resources", ["resource_uuid"], ["uuid"])
