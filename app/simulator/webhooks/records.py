"""What is kept of webhooks: subscriptions, events and their deliveries. Secrets are stored here and shown nowhere."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Level = Literal["notify", "sync"]
Scope = Literal["app", "addon"]
DeliveryStatus = Literal["pending", "scheduled", "retrying", "failed", "succeeded"]
AttemptStatus = Literal["scheduled", "succeeded", "failed"]


@dataclass
class Webhook:
    """A subscription to what happens to one app, or to one add-on and the apps it is attached to.

    `scope_id` is that app's or add-on's id. `include` has Heroku's names, as `api:release`. A subscription has an
    `ended_at` when its app or add-on is gone: nothing new is told, what is under way still is.
    """

    id: str
    scope: Scope
    scope_id: str
    scope_name: str
    include: list[str]
    level: Level
    url: str
    created_at: datetime
    updated_at: datetime
    secret: str = field(repr=False)
    authorization: str | None = field(default=None, repr=False)
    ended_at: datetime | None = None


@dataclass
class WebhookEvent:
    """What happened, as the subscribers of one app or add-on are told. `payload` lacks what each attempt adds."""

    id: str
    seq: int
    scope_id: str
    include: str
    created_at: datetime
    payload: dict[str, Any] = field(repr=False)


@dataclass
class WebhookAttempt:
    """One request to a receiver. `code` is its answer's status; without an answer `error_class` names the reason."""

    id: str
    created_at: datetime
    updated_at: datetime
    status: AttemptStatus = "scheduled"
    code: int | None = None
    error_class: str | None = None
    exchange_id: str | None = None


@dataclass
class WebhookDelivery:
    """An event on its way to one subscriber. `seq` is its place in the line; `attempts` are the latest ones."""

    id: str
    seq: int
    webhook_id: str
    event_id: str
    created_at: datetime
    updated_at: datetime
    status: DeliveryStatus = "pending"
    num_attempts: int = 0
    next_attempt_at: datetime | None = None
    attempts: list[WebhookAttempt] = field(default_factory=list)

    @property
    def is_finished(self) -> bool:
        return self.status in {"failed", "succeeded"}
