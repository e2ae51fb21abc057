"""Which values of config vars were ours once: so that Heroku having older ones is told from Heroku having others.

What is older may be replaced without asking anybody. What nobody here knows may be newer than all we know, as it is
after our database was restored from a backup, and is left to people. Kept are digests, keyed by the resource's seed:
whoever reads them learns no value.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from app.encryption import KeyRing
from app.resources.models import Resource

# How long Heroku may take to show what it was given; earlier looks would mistake what is under way for a loss.
ARRIVES_WITHIN: Final = timedelta(minutes=15)
_MOST_KEPT: Final = 100


class Standing(StrEnum):
    """What Heroku has, held against what it should have."""

    SAME = "same"
    # Nothing that is not ours, but something is missing or was replaced here since.
    OLDER = "older"
    # At least one value that was never ours, as far as we know.
    UNKNOWN = "unknown"


def note_change(keys: KeyRing, resource: Resource, new: Mapping[str, str], now: datetime) -> None:
    """Remember what `new` replaces, before it is stored, and have Heroku's side looked at when it should be there."""
    before = resource.config(keys)
    if before == new:
        return
    gone = [_digest(keys, resource, name, value) for name, value in before.items() if new.get(name) != value]
    resource.replaced_values = [*(one for one in resource.replaced_values or () if one not in gone), *gone][
        -_MOST_KEPT:
    ]
    look_soon(resource, now)


def look_soon(resource: Resource, now: datetime) -> None:
    """Have Heroku's config vars looked at when what is being sent should have arrived."""
    resource.config_due_at = now + ARRIVES_WITHIN


def standing(keys: KeyRing, resource: Resource, herokus: Mapping[str, str]) -> Standing:
    """How Heroku's values stand to ours; what it has under other names than ours does not count."""
    wanted = resource.config(keys)
    others = {name: value for name, value in herokus.items() if name in wanted and wanted[name] != value}
    if not others:
        return Standing.SAME if wanted.keys() <= herokus.keys() else Standing.OLDER
    known = set(resource.replaced_values)
    is_known = all(_digest(keys, resource, name, value) in known for name, value in others.items())
    return Standing.OLDER if is_known else Standing.UNKNOWN


def _digest(keys: KeyRing, resource: Resource, name: str, value: str) -> str:
    seed = bytes.fromhex(resource.open(keys, "seed") or "")
    return hmac.digest(seed, f"config value:{name}={value}".encode(), hashlib.sha256)[:16].hex()
