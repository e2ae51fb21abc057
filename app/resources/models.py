"""The table of one noun, a resource. What else is remembered about it is in `traces.py`.

Columns, constraints and predicates live here; the verbs that change a resource are functions in `lifecycle.py` and
`jobs.py`. Columns that end in `_sealed` are encrypted (`encryption.py`); `seal` and `open` write and read them.
"""

import json
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import CheckConstraint, Enum, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base
from app.drivers.base import ResourceInfo
from app.encryption import KeyRing


class State(StrEnum):
    """Heroku's words for where a resource is in its life.

        (POST) --> provisioning --> provisioned
                        |                |
                        +---------> deprovisioned (DELETE, or provisioning given up; for ever)

    A deprovisioned row stays as a tombstone, so that a late duplicate POST is answered 410 and makes nothing.
    """

    PROVISIONING = "provisioning"
    PROVISIONED = "provisioned"
    DEPROVISIONED = "deprovisioned"


class Hold(StrEnum):
    """Why the previous credentials of a rotation are not retired although their overlap is over."""

    # The driver says that somebody still uses them.
    CLIENTS = "clients"
    # Heroku has older config vars, or does not tell which it has.
    HEROKU = "heroku"


Secret = Literal[
    "grant",
    "access_token",
    "refresh_token",
    "former_refresh_token",
    "seed",
    "config",
    "details",
    "log_input_url",
    "log_drain_token",
    "webhook_secret",
]


class Resource(Base):
    """One installed add-on."""

    __tablename__ = "resources"
    __table_args__ = (
        CheckConstraint("generation >= 1", name="generation_from_one"),
        CheckConstraint("pushed_version <= config_version", name="pushed_follows_config"),
        CheckConstraint("(state = 'deprovisioned') = (deprovisioned_at IS NOT NULL)", name="deprovisioned_has_a_time"),
        Index("ix_resources_unsettled_since", "unsettled_since", postgresql_where=text("unsettled_since IS NOT NULL")),
        Index(
            "ix_resources_tokens_refused_at",
            "tokens_refused_at",
            postgresql_where=text("tokens_refused_at IS NOT NULL"),
        ),
        Index("ix_resources_kept_until", "kept_until", postgresql_where=text("kept_until IS NOT NULL")),
        # A grant is emptied when it is exchanged, so there are few.
        Index("ix_resources_grant_received_at", "grant_received_at", postgresql_where=text("grant_sealed IS NOT NULL")),
        Index("ix_resources_retire_at", "retire_at", postgresql_where=text("retire_at IS NOT NULL")),
        Index("ix_resources_provisioning", "created_at", postgresql_where=text("state = 'provisioning'")),
        Index("ix_resources_plan_state", "plan", "state"),
        # Whose turn it is by the schedule of a plan: see `operations/scheduled_rotation.py`.
        Index(
            "ix_resources_plan_credentials_at",
            "plan",
            "credentials_at",
            postgresql_where=text("state = 'provisioned'"),
        ),
        Index(
            "ix_resources_retirement_waits_since",
            "retirement_waits_since",
            postgresql_where=text("retirement_waits_since IS NOT NULL"),
        ),
        Index("ix_resources_webhook_due_at", "webhook_due_at", postgresql_where=text("state = 'provisioned'")),
        Index(
            "ix_resources_webhook_tail",
            "deprovisioned_at",
            postgresql_where=text("webhook_secret_sealed IS NOT NULL AND deprovisioned_at IS NOT NULL"),
        ),
        Index(
            "ix_resources_provisioned_at",
            "provisioned_at",
            "created_at",
            postgresql_where=text("provisioned_at IS NOT NULL"),
        ),
        Index(
            "ix_resources_log_drain_digest", "log_drain_digest", postgresql_where=text("log_drain_digest IS NOT NULL")
        ),
        Index("ix_resources_over_quota_at", "over_quota_at", postgresql_where=text("over_quota_at IS NOT NULL")),
        Index(
            "ix_resources_waiting_push", "config_changed_at", postgresql_where=text("config_version > pushed_version")
        ),
        Index("ix_resources_config_due_at", "config_due_at", postgresql_where=text("config_due_at IS NOT NULL")),
        Index(
            "ix_resources_config_differs_at",
            "config_differs_at",
            postgresql_where=text("config_differs_at IS NOT NULL"),
        ),
        Index("ix_resources_failing", "failures", postgresql_where=text("failures > 0")),
        Index("ix_resources_refused", "deprovisioned_at", postgresql_where=text("refusal IS NOT NULL")),
        # For finding resources: see `operations/search.py`. Partial ones cost nothing as long as nothing is wrong.
        Index("ix_resources_find_newest", "created_at", "uuid"),
        Index("ix_resources_find_plan", "plan", "created_at", "uuid"),
        Index("ix_resources_find_region", "region", "created_at", "uuid"),
        Index("ix_resources_find_state", "state", "created_at", "uuid"),
        Index(
            "ix_resources_find_text",
            "name",
            "app_name",
            "owner_email",
            "last_error",
            postgresql_using="gin",
            postgresql_ops=dict.fromkeys(("name", "app_name", "owner_email", "last_error"), "gin_trgm_ops"),
            # In kB: writers put off so much of the index's work, and every search reads through it.
            postgresql_with={"gin_pending_list_limit": "1024"},
        ),
        *(
            Index(f"ix_resources_find_{column}", column, postgresql_where=text(f"{column} IS NOT NULL"))
            for column in (
                "last_error_at",
                "unknown_to_heroku_at",
                "suspended_at",
                "suspension_waits_since",
                "read_only_at",
                "rotation_requested_at",
                "rotated_at",
            )
        ),
    )

    uuid: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(Text)
    region: Mapped[str] = mapped_column(Text)
    options: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    state: Mapped[State] = mapped_column(
        Enum(
            State,
            native_enum=False,
            create_constraint=True,
            length=20,
            values_callable=lambda states: [s.value for s in states],
        ),
        default=State.PROVISIONING,
    )
    created_at: Mapped[datetime]
    provisioned_at: Mapped[datetime | None]
    deprovisioned_at: Mapped[datetime | None]
    # When the driver confirmed that nothing is left of a deprovisioned resource.
    removed_at: Mapped[datetime | None]
    # Why provisioning was given up; kept so that a repeated POST gets the same refusal.
    refusal: Mapped[str | None] = mapped_column(Text)
    # The driver's sentence for the customer, repeated word for word when Heroku repeats a request.
    message: Mapped[str | None] = mapped_column(Text)
    # The plan on whose terms the driver has made the service, or has changed it last.
    service_plan: Mapped[str | None] = mapped_column(Text)
    # A request works on this resource with its driver at this moment, outside any transaction. If the process dies
    # meanwhile, the sweep finds the row by this and has the `settle` job finish the work.
    unsettled_since: Mapped[datetime | None]

    # OAuth: the grant lives five minutes, the access token about eight hours, the refresh token as long as the add-on.
    grant_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    grant_received_at: Mapped[datetime | None]
    access_token_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    access_token_expires_at: Mapped[datetime | None]
    refresh_token_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    # The one that the present one has replaced, until that one has worked.
    former_refresh_token_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Whoever sets this may refresh the token until that time; everyone else waits for the result.
    refresh_leased_until: Mapped[datetime | None]

    # Config vars: the wanted ones have a version, and the version that Heroku has confirmed follows it.
    config_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    config_version: Mapped[int] = mapped_column(default=0)
    pushed_version: Mapped[int] = mapped_column(default=0)
    # When `config_version` last rose.
    config_changed_at: Mapped[datetime | None]
    # Digests of values that newer ones have replaced, oldest first: see `config_values.py`.
    replaced_values: Mapped[list[str]] = mapped_column(JSONB, default=list, server_default=text("'[]'"))
    # When Heroku's config vars are looked at next; since when Heroku has some that were never ours.
    config_due_at: Mapped[datetime | None]
    config_differs_at: Mapped[datetime | None]

    # The driver's side.
    seed_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    details_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    generation: Mapped[int] = mapped_column(default=1)
    # A rotation passes through these one after the other: asked for; new credentials made, but Heroku may not have them
    # yet; Heroku has them, and the older ones stop at this time.
    rotation_requested_at: Mapped[datetime | None]
    rotated_at: Mapped[datetime | None]
    retire_at: Mapped[datetime | None]
    # Why the older ones go on beyond that, a `Hold`, and since when; and when somebody asked not to wait for anything.
    retirement_waits_for: Mapped[str | None] = mapped_column(Text)
    retirement_waits_since: Mapped[datetime | None]
    retirement_asked_at: Mapped[datetime | None]
    # When the current credentials were made: a plan's schedule counts from there.
    credentials_at: Mapped[datetime | None]
    over_quota_at: Mapped[datetime | None]
    read_only_at: Mapped[datetime | None]

    # Set when Heroku answered 404 or 410 for a resource that we believe exists.
    unknown_to_heroku_at: Mapped[datetime | None]
    # Unexpected errors of jobs in a row, and the last one, for operators; never shown to a customer.
    failures: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(Text)
    last_error_at: Mapped[datetime | None]

    # When the tokens were stored; when Heroku refused the refresh token, and has accepted none since.
    tokens_at: Mapped[datetime | None]
    tokens_refused_at: Mapped[datetime | None]
    # When Heroku last answered a job with 401, if that job still waits for tokens that Heroku accepts.
    unauthorized_at: Mapped[datetime | None]
    # What Heroku tells about the app that pays, at that time; either may change there at any moment.
    app_name: Mapped[str | None] = mapped_column(Text)
    owner_email: Mapped[str | None] = mapped_column(Text)
    app_read_at: Mapped[datetime | None]
    # What else it tells then: `state`, `plan`, and `attachments`, pairs of an app's name and the attachment's.
    heroku_facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    # An operator has closed the service to its customer.
    suspended_at: Mapped[datetime | None]
    # Since when the driver has yet to close the service, or to open it again, as `suspended_at` wants it.
    suspension_waits_since: Mapped[datetime | None]
    # A deprovisioned service is kept, out of reach, until then; an operator may have opened it again meanwhile.
    kept_until: Mapped[datetime | None]
    restored_at: Mapped[datetime | None]

    log_input_url_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    log_drain_token_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    # By which the token is found: see `log_drain.py`.
    log_drain_digest: Mapped[bytes | None] = mapped_column(LargeBinary)

    # Our subscription to Heroku's webhooks: its id there; the secret that signs them, ours before it is Heroku's; when
    # it is to be looked at next; and why it could not be had.
    webhook_id: Mapped[UUID | None]
    webhook_secret_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    webhook_due_at: Mapped[datetime | None]
    webhook_error: Mapped[str | None] = mapped_column(Text)

    @property
    def is_gone(self) -> bool:
        """Whether every later call about it is answered 410."""
        return self.state is State.DEPROVISIONED

    @property
    def needs_push(self) -> bool:
        """Whether Heroku has older config vars than we want it to have."""
        return self.config_version > self.pushed_version

    @property
    def is_moving(self) -> bool:
        """Whether the driver has not agreed yet to the plan that it is on."""
        return self.service_plan not in {None, self.plan}

    @property
    def is_rotating(self) -> bool:
        """Whether older credentials exist or are about to: a further rotation has to wait."""
        return any((self.rotation_requested_at, self.rotated_at, self.retire_at))

    @property
    def has_tokens(self) -> bool:
        """Whether the grant was ever exchanged; without it Heroku cannot be told anything."""
        return self.refresh_token_sealed is not None

    def seal(self, keys: KeyRing, secret: Secret, value: str | None) -> None:
        """Store `value` encrypted in the column of `secret`; None empties it."""
        setattr(self, f"{secret}_sealed", None if value is None else keys.seal(value, purpose(secret, self.uuid)))

    def open(self, keys: KeyRing, secret: Secret) -> str | None:
        """The clear value of `secret`, or None where there is none."""
        sealed: bytes | None = getattr(self, f"{secret}_sealed")
        return None if sealed is None else keys.open(sealed, purpose(secret, self.uuid))

    def config(self, keys: KeyRing) -> dict[str, str]:
        """The wanted config vars, names to values; empty before there are any."""
        config: dict[str, str] = json.loads(self.open(keys, "config") or "{}")
        return config

    def info(self, keys: KeyRing, *, plan: str | None = None, generation: int | None = None) -> ResourceInfo:
        """The resource as its driver sees it, if need be already with another plan or a newer credential."""
        return ResourceInfo(
            uuid=self.uuid,
            plan=plan or self.plan,
            region=self.region,
            generation=generation or self.generation,
            seed=bytes.fromhex(self.open(keys, "seed") or ""),
            is_suspended=self.suspended_at is not None,
            options=self.options,
            details=json.loads(self.open(keys, "details") or "{}"),
        )


SECRETS: tuple[Secret, ...] = get_args(Secret)


def purpose(secret: Secret, uuid: UUID | str) -> str:
    """What a sealed column of one row is bound to."""
    return f"resources.{secret}:{uuid}"


class EncryptionCanary(Base):
    """A known text sealed with each key that may be in use: see `encryption.check_canaries`."""

    __tablename__ = "encryption_canaries"

    fingerprint: Mapped[str] = mapped_column(Text, primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
