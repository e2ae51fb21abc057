"""The record of what Heroku and we have said to each other: written every second, looked at, and forgotten in time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from pydantic_core import to_json
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Retry
from app.resources.traces import Exchange

_log = structlog.get_logger(__name__)

KEPT_FOR: Final = timedelta(days=14)
_PAUSE: Final = timedelta(seconds=1)
# A stopping process has little time, and this is the least of what it has to do.
_LAST_WRITE: Final = timedelta(seconds=3)
_AT_ONCE: Final = 500
_NEWEST: Final = 20

# A row for each request of Heroku's: as one text, all of them cost a tenth of what they would as rows of a session.
_INSERT: Final = """
    INSERT INTO exchanges
        (resource_uuid, at, direction, method, path, status, milliseconds, request_id, request, answer)
    SELECT * FROM jsonb_to_recordset(%s::jsonb) AS noted (
        resource_uuid uuid, at timestamptz, direction text, method text, path text, status integer,
        milliseconds double precision, request_id text, request jsonb, answer jsonb
    )
"""


@asynccontextmanager
async def being_written(context: Context) -> AsyncIterator[None]:
    """Within the block, and once more at its end, what was noted is written."""
    over = asyncio.Event()
    writer = asyncio.create_task(_write_until(context, over))
    try:
        yield
    finally:
        over.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(writer, _LAST_WRITE.total_seconds())


async def _write_until(context: Context, over: asyncio.Event) -> None:
    while not over.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), _PAUSE.total_seconds())
        try:
            await write(context)
        except Retry as retry:
            _log.warning("exchanges wait to be written", reason=str(retry))
        except Exception:  # noqa: BLE001 - a record for people must not stop the process
            _log.exception("exchanges could not be written and are lost")


async def write(context: Context) -> None:
    """Write what was noted; what the database does not take now waits in memory, as far as there is room.

    Raises:
        Retry: the database is not available.
    """
    taken, dropped = context.exchanges.take()
    if dropped:
        context.watch.metrics.exchanges_dropped.inc(dropped)
        _log.warning("too many exchanges at once: the oldest are not in the record", dropped=dropped)
    for first in range(0, len(taken), _AT_ONCE):
        rows: list[dict[str, Any]] = [
            {
                "resource_uuid": one.uuid,
                "at": at,
                "direction": one.direction,
                "method": one.method,
                "path": one.path,
                "status": one.status,
                "milliseconds": one.milliseconds,
                "request_id": one.request_id,
                "request": one.request,
                "answer": one.answer,
            }
            for at, one in taken[first : first + _AT_ONCE]
        ]
        try:
            async with context.database.statements() as connection:
                await connection.execute(_INSERT, (to_json(rows).decode(),))
        except (Retry, asyncio.CancelledError):
            context.exchanges.give_back(taken[first:])
            raise


async def newest(session: AsyncSession, uuid: UUID) -> Sequence[Exchange]:
    """The last exchanges about a resource, newest first."""
    query = select(Exchange).where(Exchange.resource_uuid == uuid).order_by(Exchange.id.desc()).limit(_NEWEST)
    return (await session.scalars(query)).all()


async def prune(context: Context) -> None:
    """Forget the exchanges of which nobody will ask any more, a little at a time."""
    too_old = select(Exchange.id).where(Exchange.at < context.clock() - KEPT_FOR).limit(_AT_ONCE * 10)
    deleted = 1
    while deleted:
        async with context.database.transaction() as session:
            result = await session.execute(delete(Exchange).where(Exchange.id.in_(too_old.scalar_subquery())))
            deleted = result.rowcount  # type: ignore[attr-defined]  # a DELETE's result is a CursorResult
