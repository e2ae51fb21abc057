"""What is kept of logs: the drains. The lines themselves live in memory only, as on Heroku a short while."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class LogDrain:
    """Where an app's log is sent. One with an `addon_id` belongs to that add-on; `token` names the drain to it."""

    id: str
    token: str = field(repr=False)
    url: str = field(repr=False)
    app_id: str
    addon_id: str | None
    created_at: datetime
    updated_at: datetime
