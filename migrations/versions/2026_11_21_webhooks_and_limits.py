"""What Heroku tells by webhooks, and how often strangers may ask."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("resources", sa.Column("former_refresh_token_sealed", sa.LargeBinary(), nullable=True))
    _upgrade_limits()
    _upgrade_metrics()
    _upgrade_config_looks()
    _upgrade_webhooks()
    _upgrade_logs()
    _upgrade_rotation()


def _upgrade_limits() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("ends_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rate_limits")),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_rate_limits_ends_at", "rate_limits", ["ends_at"])


def _upgrade_metrics() -> None:
    op.create_table(
        "metric_counts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", name=op.f("pk_metric_counts")),
    )
    op.create_table(
        "process_reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reported_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("gauges", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process_reports")),
    )
    op.create_index(
        "ix_resources_grant_received_at",
        "resources",
        ["grant_received_at"],
        postgresql_where=sa.text("grant_sealed IS NOT NULL"),
    )


def _upgrade_webhooks() -> None:
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("resource_uuid", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("last_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("happened_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("include", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("handled_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["resource_uuid"], ["resources.uuid"], name=op.f("fk_webhook_events_resource_uuid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_events")),
    )
    op.create_index(
        "uq_webhook_events_resource_uuid_event_id", "webhook_events", ["resource_uuid", "event_id"], unique=True
    )
    op.create_index("ix_webhook_events_resource_uuid_at", "webhook_events", ["resource_uuid", "at", "id"])
    op.create_index("ix_webhook_events_at", "webhook_events", ["at"])
    op.create_index("ix_webhook_events_status_id", "webhook_events", ["status", "id"])
    op.create_index("ix_webhook_events_include_id", "webhook_events", ["include", "id"])
    op.add_column("resources", sa.Column("webhook_id", sa.Uuid(), nullable=True))
    op.add_column("resources", sa.Column("webhook_secret_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("resources", sa.Column("webhook_due_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("resources", sa.Column("webhook_error", sa.Text(), nullable=True))
    op.create_index(
        "ix_resources_webhook_due_at",
        "resources",
        ["webhook_due_at"],
        postgresql_where=sa.text("state = 'provisioned'"),
    )
    op.create_index(
        "ix_resources_webhook_tail",
        "resources",
        ["deprovisioned_at"],
        postgresql_where=sa.text("webhook_secret_sealed IS NOT NULL AND deprovisioned_at IS NOT NULL"),
    )


def _upgrade_config_looks() -> None:
    op.add_column(
        "resources",
        sa.Column(
            "replaced_values",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
    )
    for column in ("config_due_at", "config_differs_at"):
        op.add_column("resources", sa.Column(column, postgresql.TIMESTAMP(timezone=True), nullable=True))
        op.create_index(
            f"ix_resources_{column}", "resources", [column], postgresql_where=sa.text(f"{column} IS NOT NULL")
        )
    # Spread over a day, which is how often each is looked at.
    op.execute("UPDATE resources SET config_due_at = now() + random() * interval '1 day' WHERE state = 'provisioned'")


def _upgrade_logs() -> None:
    op.create_table(
        "unsent_log_lines",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("resource_uuid", sa.Uuid(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["resource_uuid"], ["resources.uuid"], name=op.f("fk_unsent_log_lines_resource_uuid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unsent_log_lines")),
    )
    op.create_index("ix_unsent_log_lines_resource_uuid_id", "unsent_log_lines", ["resource_uuid", "id"])
    op.create_index("ix_unsent_log_lines_at", "unsent_log_lines", ["at"])
    op.add_column("resources", sa.Column("log_drain_digest", sa.LargeBinary(), nullable=True))
    op.create_index(
        "ix_resources_log_drain_digest",
        "resources",
        ["log_drain_digest"],
        postgresql_where=sa.text("log_drain_digest IS NOT NULL"),
    )


def _upgrade_rotation() -> None:
    op.add_column("resources", sa.Column("retirement_waits_for", sa.Text(), nullable=True))
    for column in ("retirement_waits_since", "retirement_asked_at", "credentials_at"):
        op.add_column("resources", sa.Column(column, postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.execute(
        """
        UPDATE resources SET credentials_at = coalesce(
            (SELECT max(at) FROM events WHERE resource_uuid = resources.uuid AND kind = 'rotated'),
            provisioned_at, created_at
        ) WHERE state = 'provisioned'
        """
    )
    op.create_index(
        "ix_resources_plan_credentials_at",
        "resources",
        ["plan", "credentials_at"],
        postgresql_where=sa.text("state = 'provisioned'"),
    )
    op.create_index(
        "ix_resources_retirement_waits_since",
        "resources",
        ["retirement_waits_since"],
        postgresql_where=sa.text("retirement_waits_since IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_column("resources", "former_refresh_token_sealed")
    op.drop_table("rate_limits")
    _downgrade_rotation()
    _downgrade_logs()
    _downgrade_metrics()
    _downgrade_config_looks()
    _downgrade_webhooks()


def _downgrade_metrics() -> None:
    op.drop_index(
        "ix_resources_grant_received_at", table_name="resources", postgresql_where=sa.text("grant_sealed IS NOT NULL")
    )
    op.drop_table("process_reports")
    op.drop_table("metric_counts")


def _downgrade_logs() -> None:
    op.drop_table("unsent_log_lines")
    op.drop_index(
        "ix_resources_log_drain_digest",
        table_name="resources",
        postgresql_where=sa.text("log_drain_digest IS NOT NULL"),
    )
    op.drop_column("resources", "log_drain_digest")


def _downgrade_webhooks() -> None:
    op.drop_index("ix_resources_webhook_tail", table_name="resources")
    op.drop_index("ix_resources_webhook_due_at", table_name="resources")
    for column in ("webhook_error", "webhook_due_at", "webhook_secret_sealed", "webhook_id"):
        op.drop_column("resources", column)
    op.drop_table("webhook_events")


def _downgrade_rotation() -> None:
    op.drop_index("ix_resources_retirement_waits_since", table_name="resources")
    op.drop_index("ix_resources_plan_credentials_at", table_name="resources")
    for column in ("credentials_at", "retirement_asked_at", "retirement_waits_since", "retirement_waits_for"):
        op.drop_column("resources", column)


def _downgrade_config_looks() -> None:
    for column in ("config_differs_at", "config_due_at"):
        op.drop_index(
            f"ix_resources_{column}", table_name="resources", postgresql_where=sa.text(f"{column} IS NOT NULL")
        )
        op.drop_column("resources", column)
    op.drop_column("resources", "replaced_values")
