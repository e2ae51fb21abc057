"""How often a stranger may fail at a door, and how often customers may have costly things done.

Whoever proves who they are is let in, whatever strangers at the same address have done before: Heroku is never shut
out, and a good call of the partner API costs no statement here. A failure is counted for the caller's address; after
too many, the answer says so (429) and is given from memory, so that a flood costs the database nothing. What makes
guessing hopeless is the length of ADDON_PASSWORD and ADDON_SSO_SALT; this keeps the noise and the load of it small.

Counts are in the database, for all processes together. While that is away each process counts for itself: then a limit
is as many times higher as there are processes, and nobody is let in or shut out by it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from fastapi import Depends, Request
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from app.context import Context
from app.errors import Retry
from app.operators.attempts import network_of
from app.web.addresses import address_of
from app.web.errors import TooMany
from app.web.limit_storage import PostgresStorage

_log = structlog.get_logger(__name__)

# Wrong credentials, signatures and forms, from one address at one door.
FAILURES: Final = RateLimitItemPerMinute(100, namespace="failures")
# For one resource, by all of its customers together.
SIGN_INS: Final = RateLimitItemPerMinute(60, namespace="sign-ins")
CREDENTIAL_CHANGES: Final = RateLimitItemPerHour(20, namespace="changes of credentials")
CONFIG_LOOKS: Final = RateLimitItemPerHour(100, namespace="looks at config")

# Whom a process knows to be over a limit; of more, the oldest are asked for again.
_MOST_KNOWN: Final = 10_000
# For so long a database that was away is not asked, since each try takes seconds.
_LEFT_ALONE: Final = timedelta(seconds=5)
# How many may wait to be counted: they share one connection, so that Heroku has the others.
_MOST_WAITING: Final = 20


class Limits:
    """The counts of this process's doors, in the table that all share."""

    def __init__(self, context: Context) -> None:
        self._clock = context.clock
        self._shared = FixedWindowRateLimiter(PostgresStorage(context.database, context.clock))
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._known: dict[str, datetime] = {}
        self._waiting = 0
        self._away_until: datetime | None = None

    async def count(self, limit: RateLimitItem, *who: str) -> None:
        """Count once more.

        Raises:
            TooMany: that is more than the limit, or there were too many before.
        """
        now, key = self._clock(), limit.key_for(*who)
        ends_at = self._known.get(key)
        if ends_at is None or ends_at <= now:
            ends_at = await self._count(limit, who, now)
            if ends_at is None:
                return
            self._remember(key, ends_at)
            _log.warning("over a limit", limit=limit.namespace, of=" ".join(who), until=ends_at.isoformat())
        raise TooMany(max(ends_at - now, timedelta(seconds=1)))

    async def _count(self, limit: RateLimitItem, who: tuple[str, ...], now: datetime) -> datetime | None:
        """None, or when the window ends that is full."""
        is_away = self._away_until is not None and now < self._away_until
        if not is_away and self._waiting < _MOST_WAITING:
            self._waiting += 1
            try:
                return await _full_until(self._shared, limit, who)
            except Retry:
                self._away_until = now + _LEFT_ALONE
            finally:
                self._waiting -= 1
        return await _full_until(self._own, limit, who)

    def _remember(self, key: str, ends_at: datetime) -> None:
        self._known.pop(key, None)
        if len(self._known) >= _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[key] = ends_at


async def _full_until(limiter: FixedWindowRateLimiter, limit: RateLimitItem, who: tuple[str, ...]) -> datetime | None:
    if await limiter.hit(limit, *who):
        return None
    stats = await limiter.get_window_stats(limit, *who)
    return datetime.fromtimestamp(stats.reset_time, tz=UTC)


async def count_failure(request: Request, context: Context, door: str) -> None:
    """Note that a caller could not prove who they are.

    Args:
        request: theirs.
        context: as everywhere.
        door: what they tried to come in by, in a word; each has limits of its own.

    Raises:
        TooMany: there were too many from their address. Otherwise the door answers as it always does.
    """
    await _of(request).count(FAILURES, door, network_of(address_of(request, context)))


async def count_sign_in(request: Request, resource: str) -> None:
    """Note that a customer comes in.

    Raises:
        TooMany: too many have, to this resource.
    """
    await _of(request).count(SIGN_INS, resource)


def limited(limit: RateLimitItem) -> Any:
    """A dependency for a form of one resource's dashboard, to stand behind `GenuineForm`."""

    async def count(uuid: str, request: Request) -> None:
        await _of(request).count(limit, uuid)

    return Depends(count)


def _of(request: Request) -> Limits:
    found: Limits = request.app.state.limits
    return found
