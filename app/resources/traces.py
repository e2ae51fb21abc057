"""What is remembered of a resource besides its row: events, sign-ins, readings, exchanges, webhooks; and of plans."""

from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base

# Who somebody from the customer's side is in the history, as long as Heroku has not said who.
CUSTOMER: Final = "a customer"


class Event(Base):
    """A line in the history of a resource, or of the program as a whole. Never changed, never deleted."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_resource_uuid_id", "resource_uuid", "id"),
        Index("ix_events_at_id", "at", "id"),
        Index("ix_events_kind_at_id", "kind", "at", "id"),
        Index("ix_events_actor_at_id", "actor", "at", "id"),
        Index(
            "ix_events_operator_id_at_id", "operator_id", "at", "id", postgresql_where=text("operator_id IS NOT NULL")
        ),
        # All that the overview's figures need, without the rows.
        Index(
            "ix_events_plan_moves",
            "at",
            "plan_before",
            "plan_after",
            postgresql_where=text("plan_before IS NOT NULL OR plan_after IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    # None: about the program as a whole, such as an operator's account. No foreign key: no resource's row is ever
    # deleted, and to look it up and lock it for each event took a third of a provision in the database.
    resource_uuid: Mapped[UUID | None]
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(Text)
    # Who caused it: "Heroku", "the program", an operator's e-mail address, or a customer's if Heroku vouched for it,
    # and "a customer" if not.
    actor: Mapped[str] = mapped_column(Text)
    # A sentence for people. Holds no secret.
    text: Mapped[str] = mapped_column(Text)
    is_for_customer: Mapped[bool] = mapped_column(default=True)
    # Set for what operators do: whose account it was (None on the command line), and why they said they did it.
    operator_id: Mapped[UUID | None]
    reason: Mapped[str | None] = mapped_column(Text)
    # The plan on which a provisioned resource was before the event, and is after it, if the event has changed that: the
    # first is None when it becomes provisioned, the second when it is deprovisioned.
    plan_before: Mapped[str | None] = mapped_column(Text)
    plan_after: Mapped[str | None] = mapped_column(Text)

    @property
    def is_by_operator(self) -> bool:
        """Whether an operator did it, in the panel or on the command line; customers do not read who, nor why."""
        return self.operator_id is not None or self.reason is not None


class SignIn(Base):
    """One SSO form that was accepted: the customer's session, and the proof that the form was used."""

    __tablename__ = "sign_ins"
    __table_args__ = (Index("ix_sign_ins_resource_uuid_at", "resource_uuid", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    resource_uuid: Mapped[UUID]  # no foreign key, as above
    # SHA-256 of the form's signed and claimed fields; unique, so that each form works once.
    form_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    # SHA-256 of the form's `resource_token`, when a stronger token proved the form: see `sso.py`.
    covered_digest: Mapped[bytes | None] = mapped_column(LargeBinary, index=True)
    at: Mapped[datetime]
    email: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str] = mapped_column(Text)
    # Whether Heroku vouched for e-mail and user id (only the user-scoped token covers them).
    is_user_proven: Mapped[bool]
    signed_out_at: Mapped[datetime | None]
    # An operator looks at the customer's dashboard, until then; no form from Heroku was needed.
    support_operator: Mapped[str | None] = mapped_column(Text)
    support_ends_at: Mapped[datetime | None]
    # Their session in the panel, without which the visit is over.
    support_session_id: Mapped[UUID | None]

    @property
    def actor(self) -> str:
        """Who acts, for the history: an address that nobody vouches for may be anybody's."""
        return (self.email if self.is_user_proven else "") or CUSTOMER

    @property
    def who(self) -> str:
        """Who signed in, for operators to read; an address that nobody vouches for is marked."""
        name = self.support_operator or self.email or CUSTOMER
        return f"{name} (address not confirmed)" if self.email and not self.is_user_proven else name


class Reading(Base):
    """How much of its plan a resource used at one time; a chart's point."""

    __tablename__ = "readings"

    resource_uuid: Mapped[UUID] = mapped_column(ForeignKey("resources.uuid"), primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger)
    limit: Mapped[int] = mapped_column(BigInteger)
    unit: Mapped[str] = mapped_column(Text)


class Exchange(Base):
    """One request and its answer between Heroku and us, without secrets; kept for two weeks, to be looked at.

    Written a moment after the fact and lost with a process that dies: for people, not for the program. The uuid may be
    of no resource of ours.
    """

    __tablename__ = "exchanges"
    __table_args__ = (Index("ix_exchanges_resource_uuid_id", "resource_uuid", "id"), Index("ix_exchanges_at", "at"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    resource_uuid: Mapped[UUID]
    at: Mapped[datetime]
    # "in": Heroku asked us; "out": we asked Heroku.
    direction: Mapped[Literal["in", "out"]] = mapped_column(Text)
    method: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    # None: there was no answer.
    status: Mapped[int | None]
    milliseconds: Mapped[float]
    # Heroku's id of the request, or ours.
    request_id: Mapped[str | None] = mapped_column(Text)
    # What may be read of the bodies: names, plans, messages; never a value of a config var, a grant or a token.
    request: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


WebhookStatus = Literal["waiting", "handled", "ignored", "failed"]


class WebhookEvent(Base):
    """Something that Heroku told by a webhook about a resource, however often it came; kept for thirty days.

    What it says of values is not kept: only what `webhooks.py` allows by name.
    """

    __tablename__ = "webhook_events"
    __table_args__ = (
        Index("uq_webhook_events_resource_uuid_event_id", "resource_uuid", "event_id", unique=True),
        Index("ix_webhook_events_resource_uuid_at", "resource_uuid", "at", "id"),
        Index("ix_webhook_events_at", "at"),
        Index("ix_webhook_events_status_id", "status", "id"),
        Index("ix_webhook_events_include_id", "include", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    resource_uuid: Mapped[UUID] = mapped_column(ForeignKey("resources.uuid"))
    # Heroku's id of what happened: a repeated delivery has the same.
    event_id: Mapped[str] = mapped_column(Text)
    # When it came first, and when last; how often in all.
    at: Mapped[datetime]
    last_at: Mapped[datetime]
    deliveries: Mapped[int] = mapped_column(default=1)
    # When it happened, and where it stands among others, as far as Heroku says so.
    happened_at: Mapped[datetime | None]
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    # Such as "api:app" and "update".
    include: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    # "waiting": for the job that asks Heroku; "handled", "ignored" and "failed" have a sentence about it.
    status: Mapped[WebhookStatus] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(Text)
    handled_at: Mapped[datetime | None]


class PlanWithdrawal(Base):
    """An operator has withdrawn a plan from sale; who has it keeps it. `plans.py` can say the same."""

    __tablename__ = "plan_withdrawals"

    plan: Mapped[str] = mapped_column(Text, primary_key=True)
    # For whoever wants to install it.
    sentence: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(Text)
