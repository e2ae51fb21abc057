"""What a search gives: rows without secrets, places in their order, pages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from app.errors import Refused
from app.resources.models import State

# For so long an error needs attention, unless it is still going on.
RECENTLY: Final = timedelta(days=7)
# A service that is not closed or opened within this time needs attention.
SOON: Final = timedelta(minutes=1)

_KEY_TEXT: Final = re.compile(r"(\d{1,17})-([0-9a-f]{32})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A place in the order of resources. As text it can be in an address."""

    created_at: datetime
    uuid: UUID

    def __str__(self) -> str:
        return f"{(self.created_at - _EPOCH) // timedelta(microseconds=1)}-{self.uuid.hex}"

    @staticmethod
    def read(text: str) -> "Key":
        """The key that was written so.

        Raises:
            Refused: it was not written by us.
        """
        found = _KEY_TEXT.fullmatch(text)
        try:
            if found is None:
                raise ValueError(text)  # noqa: TRY301 - the same sentence for every way to be no key
            return Key(_EPOCH + timedelta(microseconds=int(found[1])), UUID(found[2]))
        except (ValueError, OverflowError):
            raise Refused(
                "The address of this page of the list is incomplete. Here is the list from its top."
            ) from None


@dataclass(frozen=True, slots=True)
class Found:
    """What a list tells of a resource; nothing in it is secret."""

    uuid: UUID
    name: str
    app_name: str | None
    owner_email: str | None
    plan: str
    state: State
    region: str
    created_at: datetime
    deprovisioned_at: datetime | None
    failures: int
    last_error: str | None
    last_error_at: datetime | None
    tokens_refused_at: datetime | None
    unknown_to_heroku_at: datetime | None
    suspended_at: datetime | None
    suspension_waits_since: datetime | None
    over_quota_at: datetime | None
    read_only_at: datetime | None
    kept_until: datetime | None
    config_version: int
    pushed_version: int

    @property
    def key(self) -> Key:
        """Its place in the list."""
        return Key(self.created_at, self.uuid)

    def trouble(self, now: datetime) -> str | None:
        """What is wrong, in a word or two; None if nothing is."""
        is_gone = self.state is State.DEPROVISIONED
        words = {
            "failing": self.failures > 0,
            "kept": is_gone and self.kept_until is not None,
            "unknown to Heroku": not is_gone and self.unknown_to_heroku_at is not None,
            "token refused": not is_gone and self.tokens_refused_at is not None,
            "suspension waits": self.suspension_waits_since is not None and self.suspension_waits_since < now - SOON,
            "suspended": not is_gone and self.suspended_at is not None,
            "read-only": not is_gone and self.read_only_at is not None,
            "over quota": not is_gone and self.over_quota_at is not None,
            "error": not is_gone and self.last_error_at is not None and self.last_error_at > now - RECENTLY,
            "push waits": not is_gone and self.config_version > self.pushed_version,
        }
        return next((word for word, is_so in words.items() if is_so), None)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first.

    Attributes:
        rows: what was found.
        newer: search `after` this for the page before; None if this is the first.
        older: search `before` this for the next page; None if this is the last.
    """

    rows: Sequence[Found]
    newer: Key | None
    older: Key | None
