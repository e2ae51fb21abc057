"""What is kept of people's authorizations and OAuth clients, and of the partner's own credentials; plain data."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass
class Authorization:
    """A token that a person made for a tool; without `lives` and `expires_at` it works until it is revoked."""

    id: str
    customer_id: str
    description: str
    scope: list[str]
    token_id: str
    token: str = field(repr=False)
    lives: timedelta | None
    expires_at: datetime | None
    client_id: str | None
    created_at: datetime
    updated_at: datetime


@dataclass
class OAuthClient:
    """A person's application that asks other people for access."""

    id: str
    customer_id: str
    name: str
    redirect_uri: str
    secret: str = field(repr=False)
    created_at: datetime
    updated_at: datetime


@dataclass
class ReplacedSecret:
    """A client secret that was reset: `given` is the one the simulator was started with, `current` is in force."""

    given: str = field(repr=False)
    current: str = field(repr=False)
    reset_at: datetime


@dataclass
class OAuthRecords:
    """Dicts are keyed by id. `reissues_grants` is the partner's permission to fetch a second grant."""

    reissues_grants: bool = False
    access_token_lives: timedelta = timedelta(hours=8)
    client_secret: ReplacedSecret | None = None
    authorizations: dict[str, Authorization] = field(default_factory=dict)
    clients: dict[str, OAuthClient] = field(default_factory=dict)
