"""What the add-on remembers of its resources: in memory, and in a file when there is one, for a restart."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

LIMITS = {"test": "10", "standard": "1000", "waiting-list": "100000"}


@dataclass
class Resource:
    """One installed add-on; `pushed` is the config that Heroku is known to have, times are seconds since 1970."""

    uuid: str
    plan: str
    provider_id: str
    key: str = field(repr=False)
    state: Literal["provisioning", "provisioned", "deprovisioned", "failed"] = "provisioning"
    grant_code: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    refresh_at: float = 0
    callback_url: str | None = None
    log_input_url: str | None = field(default=None, repr=False)
    drain_token: str | None = field(default=None, repr=False)
    webhook_secret: str = field(default="", repr=False)
    is_subscribed: bool = False
    pushed: dict[str, str] | None = field(default=None, repr=False)
    seen_events: list[str] = field(default_factory=list)
    seen_frames: list[str] = field(default_factory=list)
    log_lines: list[str] = field(default_factory=list)

    @property
    def config(self) -> dict[str, str]:
        return {
            "ACME_KEYS_URL": f"https://{self.key}@keys.acme.example/v1",
            "ACME_KEYS_LIMIT": LIMITS.get(self.plan, "0"),
        }

    @property
    def is_unfinished(self) -> bool:
        if self.state in {"deprovisioned", "failed"} or (self.access_token is None and self.grant_code is None):
            return False
        return self.state == "provisioning" or not self.is_subscribed or self.pushed != self.config

    def forget_secrets(self) -> None:
        self.key = ""
        self.grant_code = self.access_token = self.refresh_token = self.drain_token = self.log_input_url = None


class Store:
    """The resources by uuid. Whoever changes one calls `save`."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.resources: dict[str, Resource] = {}
        if path is not None and path.exists():
            self.resources = {one["uuid"]: Resource(**one) for one in json.loads(path.read_bytes())}

    def save(self) -> None:
        if self._path is None:
            return
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps([asdict(one) for one in self.resources.values()]))
        temporary.replace(self._path)
