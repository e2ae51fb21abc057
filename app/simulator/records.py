"""The things a pretend Heroku keeps, as plain data: what is saved to the state file, and nothing else."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import uuid4

from .logs.records import LogDrain
from .oauth.records import OAuthRecords
from .portal.records import PortalRecords
from .webhooks.records import Webhook, WebhookDelivery, WebhookEvent

State = Literal["provisioning", "provisioned", "deprovisioned"]
# Heroku calls the add-on; the add-on asks for a token, or the platform API; a customer's tool asks the platform API;
# Heroku delivers a webhook; log lines go to a drain, or come from an add-on.
Direction = Literal["add-on", "tokens", "platform", "customer", "webhook", "logs"]
Level = Literal["problem", "hint", "note"]


@dataclass
class Customer:
    """A made-up person. `api_key` is the bearer token with which they ask the platform API."""

    id: str
    name: str
    email: str
    api_key: str = field(repr=False)


@dataclass
class Release:
    id: str
    version: int
    description: str
    user_email: str
    addon_plan_names: list[str]
    created_at: datetime
    # The app's own config vars of that moment, and those that its add-ons gave it.
    config: dict[str, str] = field(default_factory=dict, repr=False)
    addon_config: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass
class Process:
    """One line of an app's formation: `quantity` dynos of one `size` run `command`. It is as old as its app."""

    type: str = "web"
    command: str = "bin/start"
    quantity: int = 1
    size: str = "Standard-1X"
    id: str = field(default_factory=lambda: str(uuid4()))
    updated_at: datetime | None = None


@dataclass
class Dyno:
    """One running process; nothing really runs. A one-off dyno has an `ends_at`, one of the formation has none."""

    id: str
    name: str
    type: str
    command: str
    size: str
    release_version: int
    created_at: datetime
    updated_at: datetime
    state: Literal["starting", "up"] = "starting"
    ends_at: datetime | None = None


@dataclass
class App:
    """An app, as if a sample with a `web` process had been deployed. `config` are its own config vars, not add-ons'."""

    id: str
    name: str
    region: str
    owner_id: str
    collaborator_ids: list[str]
    created_at: datetime
    updated_at: datetime
    releases: list[Release] = field(default_factory=list)
    config: dict[str, str] = field(default_factory=dict, repr=False)
    is_in_maintenance: bool = False
    formation: list[Process] = field(default_factory=lambda: [Process()])
    dynos: list[Dyno] = field(default_factory=list)


@dataclass
class AddOn:
    """One installed add-on. `config` has the manifest's names; an app sees them under the attachment's name.

    `failed_at` is when provisioning came to nothing: the partner gave up, or twelve hours passed.
    """

    id: str
    name: str
    plan: str
    app_id: str
    region: str
    state: State
    created_at: datetime
    updated_at: datetime
    options: dict[str, str | bool] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict, repr=False)
    provider_id: str | None = None
    provisioned_at: datetime | None = None
    failed_at: datetime | None = None
    provision_message: str | None = None
    # By the id of the app into whose log each leads.
    log_input_tokens: dict[str, str] = field(default_factory=dict, repr=False)
    log_drain_token: str | None = field(default=None, repr=False)


@dataclass
class Attachment:
    id: str
    name: str
    addon_id: str
    app_id: str
    created_at: datetime


@dataclass
class Grant:
    code: str = field(repr=False)
    addon_id: str
    expires_at: datetime
    used_at: datetime | None = None


@dataclass
class AccessToken:
    token: str = field(repr=False)
    addon_id: str
    expires_at: datetime


@dataclass
class RefreshToken:
    token: str = field(repr=False)
    addon_id: str


@dataclass
class PendingDelete:
    """A DELETE the add-on has not confirmed; the customer is already rid of the add-on."""

    addon_id: str
    attempts: int
    first_at: datetime
    next_at: datetime


@dataclass
class Activity:
    """A line of an app's history, in words."""

    at: datetime
    text: str
    app_id: str | None
    addon_id: str | None


@dataclass
class Finding:
    """One remark on an exchange: a `problem` breaks the protocol, a `hint` would be better, a `note` explains."""

    level: Level
    text: str


@dataclass
class Exchange:
    """One HTTP request and its answer, secrets already masked. `status` is None when no answer came."""

    id: str
    at: datetime
    direction: Direction
    method: str
    url: str
    request_headers: dict[str, str]
    request_body: str
    status: int | None
    answer_headers: dict[str, str]
    answer_body: str
    seconds: float
    findings: list[Finding] = field(default_factory=list)
    addon_id: str | None = None


@dataclass
class Records:
    """Everything that survives a restart. Dicts are keyed by id, or by the token itself."""

    slug: str
    clock_offset: timedelta = timedelta()
    rotates_refresh_tokens: bool = False
    customers: dict[str, Customer] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    addons: dict[str, AddOn] = field(default_factory=dict)
    attachments: dict[str, Attachment] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict, repr=False)
    access_tokens: dict[str, AccessToken] = field(default_factory=dict, repr=False)
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict, repr=False)
    pending_deletes: dict[str, PendingDelete] = field(default_factory=dict)
    activity: list[Activity] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    log_drains: dict[str, LogDrain] = field(default_factory=dict)
    webhooks: dict[str, Webhook] = field(default_factory=dict)
    webhook_events: dict[str, WebhookEvent] = field(default_factory=dict)
    webhook_deliveries: dict[str, WebhookDelivery] = field(default_factory=dict)
    webhook_seq: int = 0
    oauth: OAuthRecords = field(default_factory=OAuthRecords)
    portal: PortalRecords = field(default_factory=PortalRecords)
