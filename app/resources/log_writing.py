"""What customers read in their app's log, if the manifest requires `log_input`: what happens to their resource.

Heroku's logs are best effort, and so is this: lines that Heroku does not take for an hour are dropped. A customer finds
the same in the history on the dashboard.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import delete, select, true

from app.app_log import UnsentLine
from app.context import Context
from app.errors import Gone, Refused, Unauthorized
from app.log_input import Written
from app.resources.models import Resource

_log = structlog.get_logger(__name__)

_AT_ONCE: Final = 500
KEPT_FOR: Final = timedelta(hours=1)


async def write_log(context: Context, uuid: UUID) -> None:
    """Give Heroku what waits for the app's log, the oldest lines first."""
    while await _write_some(context, uuid):
        pass


async def _write_some(context: Context, uuid: UUID) -> bool:
    """Whether there may be more."""
    async with context.database.transaction() as session:
        resource = await session.get_one(Resource, uuid)
        url = resource.open(context.keys, "log_input_url")
        # Without a URL Heroku gave none, or has taken it back with the resource.
        is_hopeless = UnsentLine.at < context.clock() - KEPT_FOR if url is not None else true()
        await session.execute(delete(UnsentLine).where(UnsentLine.resource_uuid == uuid, is_hopeless))
        query = select(UnsentLine).where(UnsentLine.resource_uuid == uuid).order_by(UnsentLine.id).limit(_AT_ONCE)
        lines = (await session.scalars(query)).all()
    if url is None or not lines:
        return False
    try:
        await context.log_input.write(uuid, resource.name, url, [Written(line.at, line.text) for line in lines])
    except (Gone, Refused, Unauthorized) as error:
        _log.warning("lines for an app's log are dropped", lines=len(lines), reason=str(error))
    async with context.database.transaction() as session:
        # These and no others: one with a lower id may have been committed meanwhile.
        await session.execute(delete(UnsentLine).where(UnsentLine.id.in_([line.id for line in lines])))
    return len(lines) == _AT_ONCE


async def forget(context: Context) -> None:
    """Delete what no job has taken to Heroku in time, such as lines of resources that have gone since."""
    async with context.database.transaction() as session:
        await session.execute(delete(UnsentLine).where(UnsentLine.at < context.clock() - KEPT_FOR))
