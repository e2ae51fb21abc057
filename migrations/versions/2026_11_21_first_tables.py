"""The first tables, and the queue's."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


_DROP_QUEUE = """
DO $$
DECLARE thing text;
BEGIN
    FOR thing IN SELECT format('TABLE %I', relname) FROM pg_class
        WHERE relkind = 'r' AND relname LIKE 'procrastinate\\_%' AND relnamespace = current_schema()::regnamespace
    LOOP EXECUTE 'DROP ' || thing || ' CASCADE'; END LOOP;
    FOR thing IN SELECT format('%s %s', CASE prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, oid::regprocedure)
        FROM pg_proc
        WHERE proname LIKE 'procrastinate\\_%' AND pronamespace = current_schema()::regnamespace
    LOOP EXECUTE 'DROP ' || thing || ' CASCADE'; END LOOP;
    FOR thing IN SELECT format('TYPE %I', typname) FROM pg_type
        WHERE typname LIKE 'procrastinate\\_%' AND typnamespace = current_schema()::regnamespace
    LOOP EXECUTE 'DROP ' || thing || ' CASCADE'; END LOOP;
END $$
"""


def upgrade() -> None:
    # The queue's tables come from the pinned package itself. Its file holds many statements and percent signs, which
    # only the driver's own cursor takes as they are. A later version of the package brings its own migrations: each
    # becomes a revision here.
    op.get_bind().connection.driver_connection.execute(SchemaManager.get_schema())
    op.create_table(
        "encryption_canaries",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_encryption_canaries")),
    )
    op.create_table(
        "resources",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "provisioning",
                "provisioned",
                "deprovisioned",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("provisioned_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("deprovisioned_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("removed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("unsettled_since", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("grant_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("grant_received_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("access_token_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("access_token_expires_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("refresh_token_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("refresh_leased_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("config_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("config_version", sa.Integer(), nullable=False),
        sa.Column("pushed_version", sa.Integer(), nullable=False),
        sa.Column("seed_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("details_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("rotation_requested_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("rotated_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("retire_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("over_quota_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("read_only_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("unknown_to_heroku_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_error_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("log_input_url_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("log_drain_token_sealed", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "(state = 'deprovisioned') = (deprovisioned_at IS NOT NULL)",
            name=op.f("ck_resources_deprovisioned_has_a_time"),
        ),
        sa.CheckConstraint("generation >= 1", name=op.f("ck_resources_generation_from_one")),
        sa.CheckConstraint("pushed_version <= config_version", name=op.f("ck_resources_pushed_follows_config")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_resources")),
    )
    op.create_index(
        "ix_resources_provisioning",
        "resources",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("state = 'provisioning'"),
    )
    op.create_index(
        "ix_resources_retire_at",
        "resources",
        ["retire_at"],
        unique=False,
        postgresql_where=sa.text("retire_at IS NOT NULL"),
    )
    op.create_index(
        "ix_resources_unsettled_since",
        "resources",
        ["unsettled_since"],
        unique=False,
        postgresql_where=sa.text("unsettled_since IS NOT NULL"),
    )
    op.create_table(
        "readings",
        sa.Column("resource_uuid", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("limit", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["resource_uuid"], ["resources.uuid"], name=op.f("fk_readings_resource_uuid")),
        sa.PrimaryKeyConstraint("resource_uuid", "name", "at", name=op.f("pk_readings")),
    )
    op.create_table(
        "resource_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("resource_uuid", sa.Uuid(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("is_for_customer", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["resource_uuid"], ["resources.uuid"], name=op.f("fk_resource_events_resource_uuid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource_events")),
    )
    op.create_index("ix_resource_events_resource_uuid_id", "resource_events", ["resource_uuid", "id"], unique=False)
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("resource_uuid", sa.Uuid(), nullable=False),
        sa.Column("form_digest", sa.LargeBinary(), nullable=False),
        sa.Column("covered_digest", sa.LargeBinary(), nullable=True),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("is_user_proven", sa.Boolean(), nullable=False),
        sa.Column("signed_out_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["resource_uuid"], ["resources.uuid"], name=op.f("fk_sign_ins_resource_uuid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
        sa.UniqueConstraint("form_digest", name=op.f("uq_sign_ins_form_digest")),
    )
    op.create_index(op.f("ix_sign_ins_covered_digest"), "sign_ins", ["covered_digest"], unique=False)
    op.create_index("ix_sign_ins_resource_uuid_at", "sign_ins", ["resource_uuid", "at"], unique=False)


def downgrade() -> None:
    op.execute(_DROP_QUEUE)
    op.drop_index("ix_sign_ins_resource_uuid_at", table_name="sign_ins")
    op.drop_index(op.f("ix_sign_ins_covered_digest"), table_name="sign_ins")
    op.drop_table("sign_ins")
    op.drop_index("ix_resource_events_resource_uuid_id", table_name="resource_events")
    op.drop_table("resource_events")
    op.drop_table("readings")
    op.drop_index(
        "ix_resources_unsettled_since", table_name="resources", postgresql_where=sa.text("unsettled_since IS NOT NULL")
    )
    op.drop_index("ix_resources_retire_at", table_name="resources", postgresql_where=sa.text("retire_at IS NOT NULL"))
    op.drop_index(
        "ix_resources_provisioning", table_name="resources", postgresql_where=sa.text("state = 'provisioning'")
    )
    op.drop_table("resources")
    op.drop_table("encryption_canaries")
