"""What apps have logged, on its way from Heroku's log drains to the drivers that want it.

https://devcenter.heroku.com/articles/accessing-application-logs-as-an-add-on-partner. Heroku takes 2xx for taken
and 4xx for "never send this again"; after 429, 5xx, or no answer in five seconds it sends a batch again, three times in
all, while the lines after it wait there. So no line is kept here: a batch is answered when its driver has taken it, and
what was answered with success is not lost by us. When too many are at work at once the answer is "again".

One batch may come twice, even at the same time, and to two processes: its id tells.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import select

from app.context import Context
from app.drivers.base import LogLine
from app.errors import AddonError, Gone, Retry
from app.resources.models import Resource

_Key = TypeVar("_Key")

_log = structlog.get_logger(__name__)

# Heroku waits five seconds.
_LONGEST: Final = timedelta(seconds=4)
# How many batches of one resource at once: Heroku sends one after the other, and a second one when the first is late.
_MOST_OF_ONE: Final = 2
_MOST_REMEMBERED: Final = 10_000


def token_digest(token: str) -> bytes:
    """By what a drain's token is found, since no two sealed values of one text are equal. It has 122 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Intake:
    """What this process takes of apps' logs at this moment."""

    def __init__(self, context: Context) -> None:
        self._context = context
        # Strangers wait for one another; neither they nor all drains together take the database's connections.
        self._strangers = _Lane(at_once=1, waiting=100)
        self._lookups = _Lane(at_once=2, waiting=100)
        self._handovers = _Lane(at_once=8, waiting=32)
        self._known: dict[bytes, None] = {}
        self._taken: dict[tuple[UUID, str], None] = {}
        self._under_way: dict[tuple[UUID, str], asyncio.Task[None]] = {}
        self._of_one: Counter[UUID] = Counter()
        _warn(context)

    async def find(self, token: str) -> Resource | None:
        """Whose drain it is, by the token that Heroku gave with the provision; None if nobody's, or no longer.

        Raises:
            Retry: too many ask at once.
        """
        digest = token_digest(token)
        lane = self._lookups if digest in self._known else self._strangers
        async with lane.place(), self._context.database.transaction() as session:
            resource = await session.scalar(select(Resource).where(Resource.log_drain_digest == digest).limit(1))
        if resource is not None:
            _remember(self._known, digest)
        return resource

    async def hand_over(self, resource: Resource, batch: str, lines: Sequence[LogLine]) -> None:
        """Have the driver take lines; returns when it has, or had before.

        Args:
            resource: as `find` found it.
            batch: the id under which Heroku repeats these very lines.
            lines: all of the batch, in order.

        Raises:
            Retry: not now: the service is still being made, the driver is busy or slow, or too much is at work.
            Gone: it was deprovisioned.
            Refused: the driver will never take these.
        """
        if resource.is_gone:
            raise Gone
        # Not by its state: Heroku knows that it is provisioned a moment before we have written that down.
        if resource.config_version == 0:
            raise Retry("the service behind a log drain is not made yet")
        key = resource.uuid, batch
        if not lines or key in self._taken or not self._context.plans[resource.plan].driver.can_take_log_lines:
            return
        work = self._under_way.get(key)
        if work is None:
            if self._of_one[resource.uuid] >= _MOST_OF_ONE:
                raise Retry("too many batches of one app's log at once")
            work = asyncio.create_task(self._hand_over(resource, batch, lines))
            self._under_way[key] = work
            self._of_one[resource.uuid] += 1
            work.add_done_callback(lambda done: self._end(key, done))
        await asyncio.shield(work)

    async def _hand_over(self, resource: Resource, batch: str, lines: Sequence[LogLine]) -> None:
        driver, info = self._context.plans[resource.plan].driver, resource.info(self._context.keys)
        try:
            async with asyncio.timeout(_LONGEST.total_seconds()), self._handovers.place():
                with self._context.watch.driver_call(resource.plan, "take_log_lines"):
                    await driver.take_log_lines(info, lines, batch=batch)
        except TimeoutError:
            raise Retry("the driver did not take lines of a log in time") from None
        _remember(self._taken, (resource.uuid, batch))

    def _end(self, key: tuple[UUID, str], work: "asyncio.Task[None]") -> None:
        del self._under_way[key]
        self._of_one[key[0]] -= 1
        if not self._of_one[key[0]]:
            del self._of_one[key[0]]
        # Seen here also where every caller has left.
        if not work.cancelled() and (error := work.exception()) is not None and not isinstance(error, AddonError):
            _log.error("a driver failed with lines of a log", resource=str(key[0]), kind=type(error).__name__)


def _warn(context: Context) -> None:
    """Tell a partner who has done one half of what it takes."""
    is_wanted = any(plan.driver.can_take_log_lines for plan in context.plans.values())
    is_asked_for = "syslog_drain" in context.manifest.api.requires
    if is_wanted and not is_asked_for:
        _log.warning("a driver takes apps' logs, but the manifest does not require syslog_drain: none will come")
    if is_asked_for and not is_wanted:
        _log.warning("the manifest requires syslog_drain, but no plan's driver takes apps' logs: they are dropped")


class _Lane:
    """So many at once; so many more wait, and the next is sent away."""

    def __init__(self, *, at_once: int, waiting: int) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._most = at_once + waiting
        self._inside = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One of the places, until the end of the block.

        Raises:
            Retry: too many wait.
        """
        if self._inside >= self._most:
            raise Retry("too many batches of apps' logs at once")
        self._inside += 1
        try:
            async with self._places:
                yield
        finally:
            self._inside -= 1


def _remember(known: dict[_Key, None], key: _Key) -> None:
    """The latest, so that they cannot become many."""
    known.pop(key, None)
    known[key] = None
    if len(known) > _MOST_REMEMBERED:
        del known[next(iter(known))]
