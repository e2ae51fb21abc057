"""What is remembered about running the whole: links of the audit chain, batches, reconciliations, alerts, counts."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Double, Enum, ForeignKey, Identity, Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base


class AuditLink(Base):
    """A link of the chain over all events, made soon after the event: altering an event breaks the chain there.

    See `audit_chain.py`.
    """

    __tablename__ = "audit_links"

    # From 1, without gaps.
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"), unique=True)
    # SHA-256 of the link before, of the event and of `linked_at`.
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    linked_at: Mapped[datetime]


class BatchState(StrEnum):
    """Where a batch is."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


class ItemState(StrEnum):
    """Where one resource of a batch is."""

    WAITING = "waiting"
    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"


def _enum(kind: type[StrEnum]) -> Enum:
    return Enum(
        kind, native_enum=False, create_constraint=True, length=20, values_callable=lambda kind: [s.value for s in kind]
    )


class Batch(Base):
    """One action on many resources, on one operator's word."""

    __tablename__ = "batches"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    # A key of `operations.actions.ACTIONS`, and what it needs to know besides the resource.
    action: Mapped[str] = mapped_column(Text)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    # The search that selected the resources, as it was typed.
    query: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    ordered_by: Mapped[str] = mapped_column(Text)
    # On whose word it goes on: who ordered it, or who resumed it last. With an account the role is looked up there,
    # on the command line it is this one.
    actor: Mapped[str] = mapped_column(Text)
    role_number: Mapped[int] = mapped_column("role", SmallInteger)
    operator_id: Mapped[UUID | None]
    state: Mapped[BatchState] = mapped_column(_enum(BatchState), default=BatchState.RUNNING)
    created_at: Mapped[datetime]
    # Why the program has paused it.
    note: Mapped[str | None] = mapped_column(Text)
    # When it was ordered, or resumed last.
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class BatchItem(Base):
    """One resource of a batch."""

    __tablename__ = "batch_items"
    __table_args__ = (
        Index("ix_batch_items_batch_id_state", "batch_id", "state", "resource_uuid"),
        Index("ix_batch_items_begun", "begun_at", postgresql_where=text("state = 'begun'")),
        Index("ix_batch_items_begun_at", "begun_at", postgresql_where=text("begun_at IS NOT NULL")),
    )

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    resource_uuid: Mapped[UUID] = mapped_column(ForeignKey("resources.uuid"), primary_key=True)
    state: Mapped[ItemState] = mapped_column(_enum(ItemState), default=ItemState.WAITING)
    # Why it failed, or what was done.
    message: Mapped[str | None] = mapped_column(Text)
    begun_at: Mapped[datetime | None]
    # The resource's newest event when it was begun: what became of it comes after.
    begun_event_id: Mapped[int | None] = mapped_column(BigInteger)
    ended_at: Mapped[datetime | None]


class Reconciliation(Base):
    """One comparison of our rows with Heroku's list."""

    __tablename__ = "reconciliations"
    __table_args__ = (Index("ix_reconciliations_begun_at", "begun_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    actor: Mapped[str] = mapped_column(Text)
    begun_at: Mapped[datetime]
    # When it last got on; None while it waits for a worker. One that has been silent for long has died.
    alive_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    # How many living add-ons each side has.
    ours: Mapped[int | None]
    herokus: Mapped[int | None]
    # How many differences there are of each kind; rows are kept of the first ones only.
    counts: Mapped[dict[str, int]] = mapped_column(JSONB, default=dict)
    # Why its numbers are not believed: then nothing is proposed.
    caution: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)


class ListedInstall(Base):
    """An add-on of Heroku's list, while a reconciliation compares it; gone with its end."""

    __tablename__ = "listed_installs"

    reconciliation_id: Mapped[UUID] = mapped_column(ForeignKey("reconciliations.id"), primary_key=True)
    uuid: Mapped[UUID] = mapped_column(primary_key=True)
    plan: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str | None] = mapped_column(Text)


class Difference(Base):
    """Something on which our rows and Heroku's list do not agree, and what would mend it."""

    __tablename__ = "differences"
    __table_args__ = (Index("ix_differences_reconciliation_id", "reconciliation_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    reconciliation_id: Mapped[UUID] = mapped_column(ForeignKey("reconciliations.id"))
    # May be of an add-on that we have never seen.
    resource_uuid: Mapped[UUID]
    # "orphan": only here; "ghost": only at Heroku; "plan", "state", "config": known to both.
    kind: Mapped[str] = mapped_column(Text)
    # The plan or the state on each side, as far as there is one.
    here: Mapped[str | None] = mapped_column(Text)
    there: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    # A repair's name, None where only people can help.
    repair: Mapped[str | None] = mapped_column(Text)
    # What became of the repair, in a sentence; it is over when it has a time.
    outcome: Mapped[str | None] = mapped_column(Text)
    repaired_at: Mapped[datetime | None]
    repaired_by: Mapped[str | None] = mapped_column(Text)


class Alert(Base):
    """Something the team is told of once, and once more when it is over."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("uq_alerts_open", "kind", "subject", unique=True, postgresql_where=text("closed_at IS NULL")),
        Index("ix_alerts_closed_at", "closed_at", "id", postgresql_where=text("closed_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    # What it is about: a resource's uuid, or "" for the program as a whole.
    subject: Mapped[str] = mapped_column(Text, default="")
    text: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime]
    # When it was put into messages to the team, and when its end was.
    told_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    closing_told_at: Mapped[datetime | None]


class AlertMessage(Base):
    """One message about alerts on its way through one channel, until it has arrived or is given up."""

    __tablename__ = "alert_messages"
    __table_args__ = (
        Index(
            "ix_alert_messages_next_at",
            "next_at",
            postgresql_where=text("sent_at IS NULL AND given_up_at IS NULL"),
        ),
        Index("ix_alert_messages_created_at", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(Text)
    # What it says: see `operations/messages.py`. Without addresses and secrets.
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    # When it is tried next.
    next_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]
    # How the last try failed, without addresses or secrets.
    last_error: Mapped[str | None] = mapped_column(Text)


class MetricCount(Base):
    """One line of `/metrics`: what all processes together have counted since the table was made."""

    __tablename__ = "metric_counts"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    # As JSON, sorted by name.
    labels: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[float] = mapped_column(Double)


class ProcessReport(Base):
    """What a living process says of itself every few seconds; who has been silent for long has died."""

    __tablename__ = "process_reports"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    # "web" or "worker".
    kind: Mapped[str] = mapped_column(Text)
    reported_at: Mapped[datetime]
    # Numbers by the names that they have in `/metrics`.
    gauges: Mapped[dict[str, float]] = mapped_column(JSONB)
