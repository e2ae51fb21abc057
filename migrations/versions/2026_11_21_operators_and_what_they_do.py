"""Operators and what they do; the history of resources becomes the history of everything."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.errors import Refused

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Which plan a resource was on before and after, from what was known of it until now.
_PLAN_MOVES = (
    "UPDATE events SET plan_after = substring(text from '^Ready on the (.+) plan$') WHERE kind = 'provisioned'",
    """
    UPDATE events SET plan_before = resources.plan FROM resources
    WHERE events.kind = 'deprovisioned'
      AND resources.uuid = events.resource_uuid AND resources.provisioned_at IS NOT NULL
    """,
    """
    UPDATE events
    SET plan_before = substring(events.text from '^Plan changed from (.+) to .+$'),
        plan_after = substring(events.text from '^Plan changed from .+ to (.+)$')
    FROM resources
    WHERE events.kind = 'plan_changed'
      AND resources.uuid = events.resource_uuid AND resources.provisioned_at <= events.at
    """,
)


def upgrade() -> None:  # noqa: PLR0915 - tables that belong to one release
    op.create_table(
        "alerts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("opened_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("told_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("closed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("closing_told_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index(
        "ix_alerts_closed_at",
        "alerts",
        ["closed_at", "id"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NOT NULL"),
    )
    op.create_index(
        "uq_alerts_open", "alerts", ["kind", "subject"], unique=True, postgresql_where=sa.text("closed_at IS NULL")
    )
    op.create_table(
        "alert_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("sent_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("given_up_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_messages")),
    )
    op.create_index("ix_alert_messages_created_at", "alert_messages", ["created_at"], unique=False)
    op.create_index(
        "ix_alert_messages_next_at",
        "alert_messages",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("sent_at IS NULL AND given_up_at IS NULL"),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "running",
                "paused",
                "done",
                "cancelled",
                name="batchstate",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_table(
        "exchanges",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("resource_uuid", sa.Uuid(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("milliseconds", sa.Double(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchanges")),
    )
    op.create_index("ix_exchanges_at", "exchanges", ["at"], unique=False)
    op.create_index("ix_exchanges_resource_uuid_id", "exchanges", ["resource_uuid", "id"], unique=False)
    op.create_table(
        "failed_sign_ins",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_failed_sign_ins")),
    )
    op.create_index("ix_failed_sign_ins_address_at", "failed_sign_ins", ["address", "at"], unique=False)
    op.create_index("ix_failed_sign_ins_email_at", "failed_sign_ins", ["email", "at"], unique=False)
    op.create_table(
        "operators",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("disabled_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("password_set_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("is_password_temporary", sa.Boolean(), nullable=False),
        sa.Column("totp_secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("totp_confirmed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("totp_last_step", sa.BigInteger(), nullable=True),
        sa.Column("recovery_digests", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("oidc_subject", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operators")),
        sa.UniqueConstraint("email", name=op.f("uq_operators_email")),
        sa.UniqueConstraint("oidc_subject", name=op.f("uq_operators_oidc_subject")),
    )
    op.create_table(
        "plan_withdrawals",
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("plan", name=op.f("pk_plan_withdrawals")),
    )
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("begun_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("alive_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("ours", sa.Integer(), nullable=True),
        sa.Column("herokus", sa.Integer(), nullable=True),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("caution", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliations")),
    )
    op.create_index("ix_reconciliations_begun_at", "reconciliations", ["begun_at"], unique=False)
    op.create_table(
        "listed_installs",
        sa.Column("reconciliation_id", sa.Uuid(), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"], ["reconciliations.id"], name=op.f("fk_listed_installs_reconciliation_id")
        ),
        sa.PrimaryKeyConstraint("reconciliation_id", "uuid", name=op.f("pk_listed_installs")),
    )
    op.create_table(
        "batch_items",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("resource_uuid", sa.Uuid(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "begun",
                "done",
                "failed",
                name="itemstate",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("begun_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("begun_event_id", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_batch_items_batch_id")),
        sa.ForeignKeyConstraint(["resource_uuid"], ["resources.uuid"], name=op.f("fk_batch_items_resource_uuid")),
        sa.PrimaryKeyConstraint("batch_id", "resource_uuid", name=op.f("pk_batch_items")),
    )
    op.create_index(
        "ix_batch_items_batch_id_state", "batch_items", ["batch_id", "state", "resource_uuid"], unique=False
    )
    op.create_index(
        "ix_batch_items_begun",
        "batch_items",
        ["begun_at"],
        unique=False,
        postgresql_where=sa.text("state = 'begun'"),
    )
    op.create_index(
        "ix_batch_items_begun_at",
        "batch_items",
        ["begun_at"],
        unique=False,
        postgresql_where=sa.text("begun_at IS NOT NULL"),
    )
    op.create_table(
        "differences",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("reconciliation_id", sa.Uuid(), nullable=False),
        sa.Column("resource_uuid", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("here", sa.Text(), nullable=True),
        sa.Column("there", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("repair", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("repaired_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("repaired_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"], ["reconciliations.id"], name=op.f("fk_differences_reconciliation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_differences")),
    )
    op.create_index("ix_differences_reconciliation_id", "differences", ["reconciliation_id", "id"], unique=False)
    op.rename_table("resource_events", "events")
    op.execute("ALTER TABLE events RENAME CONSTRAINT pk_resource_events TO pk_events")
    op.execute("ALTER TABLE events RENAME CONSTRAINT fk_resource_events_resource_uuid TO fk_events_resource_uuid")
    op.execute("ALTER INDEX ix_resource_events_resource_uuid_id RENAME TO ix_events_resource_uuid_id")
    op.execute("ALTER SEQUENCE resource_events_id_seq RENAME TO events_id_seq")
    op.alter_column("events", "resource_uuid", nullable=True)
    op.add_column("events", sa.Column("operator_id", sa.Uuid(), nullable=True))
    op.add_column("events", sa.Column("reason", sa.Text(), nullable=True))
    op.add_column("events", sa.Column("plan_before", sa.Text(), nullable=True))
    op.add_column("events", sa.Column("plan_after", sa.Text(), nullable=True))
    for statement in _PLAN_MOVES:
        op.execute(statement)
    op.create_index("ix_events_actor_at_id", "events", ["actor", "at", "id"], unique=False)
    op.create_index("ix_events_at_id", "events", ["at", "id"], unique=False)
    op.create_index("ix_events_kind_at_id", "events", ["kind", "at", "id"], unique=False)
    op.create_index(
        "ix_events_operator_id_at_id",
        "events",
        ["operator_id", "at", "id"],
        unique=False,
        postgresql_where=sa.text("operator_id IS NOT NULL"),
    )
    op.create_index(
        "ix_events_plan_moves",
        "events",
        ["at", "plan_before", "plan_after"],
        unique=False,
        postgresql_where=sa.text("plan_before IS NOT NULL OR plan_after IS NOT NULL"),
    )
    op.create_table(
        "operator_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("seen_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("revoked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name=op.f("fk_operator_sessions_operator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_sessions")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_operator_sessions_token_digest")),
    )
    op.create_index(
        "ix_operator_sessions_operator_id_created_at", "operator_sessions", ["operator_id", "created_at"], unique=False
    )
    op.create_table(
        "audit_links",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("linked_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_audit_links_event_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit_links")),
        sa.UniqueConstraint("event_id", name=op.f("uq_audit_links_event_id")),
    )
    op.add_column("resources", sa.Column("tokens_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("resources", sa.Column("tokens_refused_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("resources", sa.Column("app_name", sa.Text(), nullable=True))
    op.add_column("resources", sa.Column("owner_email", sa.Text(), nullable=True))
    op.add_column("resources", sa.Column("app_read_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("resources", sa.Column("heroku_facts", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("resources", sa.Column("suspended_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("resources", sa.Column("kept_until", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("resources", sa.Column("restored_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("resources", sa.Column("config_changed_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.create_index(
        "ix_resources_waiting_push",
        "resources",
        ["config_changed_at"],
        unique=False,
        postgresql_where=sa.text("config_version > pushed_version"),
    )
    op.create_index(
        "ix_resources_failing",
        "resources",
        ["failures"],
        unique=False,
        postgresql_where=sa.text("failures > 0"),
    )
    op.create_index(
        "ix_resources_refused",
        "resources",
        ["deprovisioned_at"],
        unique=False,
        postgresql_where=sa.text("refusal IS NOT NULL"),
    )
    op.create_index(
        "ix_resources_kept_until",
        "resources",
        ["kept_until"],
        unique=False,
        postgresql_where=sa.text("kept_until IS NOT NULL"),
    )
    op.create_index(
        "ix_resources_over_quota_at",
        "resources",
        ["over_quota_at"],
        unique=False,
        postgresql_where=sa.text("over_quota_at IS NOT NULL"),
    )
    op.create_index("ix_resources_plan_state", "resources", ["plan", "state"], unique=False)
    op.create_index(
        "ix_resources_provisioned_at",
        "resources",
        ["provisioned_at", "created_at"],
        unique=False,
        postgresql_where=sa.text("provisioned_at IS NOT NULL"),
    )
    op.create_index(
        "ix_resources_tokens_refused_at",
        "resources",
        ["tokens_refused_at"],
        unique=False,
        postgresql_where=sa.text("tokens_refused_at IS NOT NULL"),
    )
    _index_what_is_found_by()
    op.add_column("sign_ins", sa.Column("support_operator", sa.Text(), nullable=True))
    op.add_column("sign_ins", sa.Column("support_ends_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("sign_ins", sa.Column("support_session_id", sa.Uuid(), nullable=True))


_FOUND_BY = ("name", "app_name", "owner_email", "last_error")
_RARE_TIMES = (
    "last_error_at",
    "unknown_to_heroku_at",
    "suspended_at",
    "read_only_at",
    "rotation_requested_at",
    "rotated_at",
)


def _index_what_is_found_by() -> None:
    try:
        with op.get_bind().begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except sa.exc.DBAPIError as error:
        raise Refused(
            "The database needs the extension pg_trgm, which could not be made: "
            f"{str(error.orig).partition(chr(10))[0]}. Have somebody who administers the server install it and run "
            "CREATE EXTENSION pg_trgm in this database; then migrate again."
        ) from error
    op.create_index("ix_resources_find_newest", "resources", ["created_at", "uuid"], unique=False)
    for column in ("plan", "region", "state"):
        op.create_index(f"ix_resources_find_{column}", "resources", [column, "created_at", "uuid"], unique=False)
    op.create_index(
        "ix_resources_find_text",
        "resources",
        list(_FOUND_BY),
        unique=False,
        postgresql_using="gin",
        postgresql_ops=dict.fromkeys(_FOUND_BY, "gin_trgm_ops"),
        postgresql_with={"gin_pending_list_limit": "1024"},
    )
    for column in _RARE_TIMES:
        op.create_index(
            f"ix_resources_find_{column}",
            "resources",
            [column],
            unique=False,
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )


def downgrade() -> None:  # noqa: PLR0915 - as above
    op.drop_column("sign_ins", "support_session_id")
    op.drop_column("sign_ins", "support_ends_at")
    op.drop_column("sign_ins", "support_operator")
    # The extension stays: others in this database may use it.
    for found_by in ("newest", "plan", "region", "state", "text", *_RARE_TIMES):
        op.drop_index(f"ix_resources_find_{found_by}", table_name="resources")
    op.drop_index(
        "ix_resources_provisioned_at",
        table_name="resources",
        postgresql_where=sa.text("provisioned_at IS NOT NULL"),
    )
    op.drop_index("ix_resources_plan_state", table_name="resources")
    op.drop_index(
        "ix_resources_over_quota_at", table_name="resources", postgresql_where=sa.text("over_quota_at IS NOT NULL")
    )
    op.drop_index(
        "ix_resources_tokens_refused_at",
        table_name="resources",
        postgresql_where=sa.text("tokens_refused_at IS NOT NULL"),
    )
    op.drop_index("ix_resources_refused", table_name="resources", postgresql_where=sa.text("refusal IS NOT NULL"))
    op.drop_index("ix_resources_failing", table_name="resources", postgresql_where=sa.text("failures > 0"))
    op.drop_index(
        "ix_resources_waiting_push",
        table_name="resources",
        postgresql_where=sa.text("config_version > pushed_version"),
    )
    op.drop_column("resources", "config_changed_at")
    op.drop_index("ix_resources_kept_until", table_name="resources", postgresql_where=sa.text("kept_until IS NOT NULL"))
    op.drop_column("resources", "restored_at")
    op.drop_column("resources", "kept_until")
    op.drop_column("resources", "suspended_at")
    op.drop_column("resources", "heroku_facts")
    op.drop_column("resources", "app_read_at")
    op.drop_column("resources", "owner_email")
    op.drop_column("resources", "app_name")
    op.drop_column("resources", "tokens_refused_at")
    op.drop_column("resources", "tokens_at")
    op.drop_table("audit_links")
    op.drop_index("ix_operator_sessions_operator_id_created_at", table_name="operator_sessions")
    op.drop_table("operator_sessions")
    op.drop_index(
        "ix_events_plan_moves",
        table_name="events",
        postgresql_where=sa.text("plan_before IS NOT NULL OR plan_after IS NOT NULL"),
    )
    op.drop_index(
        "ix_events_operator_id_at_id", table_name="events", postgresql_where=sa.text("operator_id IS NOT NULL")
    )
    op.drop_index("ix_events_kind_at_id", table_name="events")
    op.drop_index("ix_events_at_id", table_name="events")
    op.drop_index("ix_events_actor_at_id", table_name="events")
    op.drop_column("events", "plan_after")
    op.drop_column("events", "plan_before")
    op.drop_column("events", "reason")
    op.drop_column("events", "operator_id")
    op.execute("DELETE FROM events WHERE resource_uuid IS NULL")
    op.alter_column("events", "resource_uuid", nullable=False)
    op.execute("ALTER SEQUENCE events_id_seq RENAME TO resource_events_id_seq")
    op.execute("ALTER INDEX ix_events_resource_uuid_id RENAME TO ix_resource_events_resource_uuid_id")
    op.execute("ALTER TABLE events RENAME CONSTRAINT fk_events_resource_uuid TO fk_resource_events_resource_uuid")
    op.execute("ALTER TABLE events RENAME CONSTRAINT pk_events TO pk_resource_events")
    op.rename_table("events", "resource_events")
    op.drop_index("ix_differences_reconciliation_id", table_name="differences")
    op.drop_table("differences")
    op.drop_index("ix_batch_items_begun_at", table_name="batch_items", postgresql_where=sa.text("begun_at IS NOT NULL"))
    op.drop_index("ix_batch_items_begun", table_name="batch_items", postgresql_where=sa.text("state = 'begun'"))
    op.drop_index("ix_batch_items_batch_id_state", table_name="batch_items")
    op.drop_table("batch_items")
    op.drop_table("listed_installs")
    op.drop_index("ix_reconciliations_begun_at", table_name="reconciliations")
    op.drop_table("reconciliations")
    op.drop_table("plan_withdrawals")
    op.drop_table("operators")
    op.drop_index("ix_failed_sign_ins_email_at", table_name="failed_sign_ins")
    op.drop_index("ix_failed_sign_ins_address_at", table_name="failed_sign_ins")
    op.drop_table("failed_sign_ins")
    op.drop_index("ix_exchanges_resource_uuid_id", table_name="exchanges")
    op.drop_index("ix_exchanges_at", table_name="exchanges")
    op.drop_table("exchanges")
    op.drop_table("batches")
    op.drop_index("uq_alerts_open", table_name="alerts", postgresql_where=sa.text("closed_at IS NULL"))
    op.drop_index("ix_alerts_closed_at", table_name="alerts", postgresql_where=sa.text("closed_at IS NOT NULL"))
    op.drop_table("alerts")
    op.drop_index(
        "ix_alert_messages_next_at",
        table_name="alert_messages",
        postgresql_where=sa.text("sent_at IS NULL AND given_up_at IS NULL"),
    )
    op.drop_index("ix_alert_messages_created_at", table_name="alert_messages")
    op.drop_table("alert_messages")
