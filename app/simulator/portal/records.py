"""What the partner portal keeps: every manifest that was pushed, and what usage was reported; plain data."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class ManifestVersion:
    """One manifest as it was pushed, without its `$base`; `number` counts from 1. It holds the partner's secrets."""

    id: str
    number: int
    contents: dict[str, Any] = field(repr=False)
    created_at: datetime


@dataclass
class Usage:
    """How much of a unit a resource used in the hour that began at `hour_at`."""

    id: str
    addon_id: str
    unit: str
    quantity: float
    hour_at: datetime


@dataclass
class PortalRecords:
    """Manifests oldest first; `given_digest` is that of the manifest the simulator was started with."""

    manifests: list[ManifestVersion] = field(default_factory=list)
    given_digest: str = ""
    usages: list[Usage] = field(default_factory=list)
