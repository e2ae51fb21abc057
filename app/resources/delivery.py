"""Whether Heroku really has the config vars that it was given, and giving them once more where it has not."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.resources.config_values import Standing, look_soon, standing
from app.resources.lifecycle import PROGRAM, record
from app.resources.models import Resource
from app.resources.tokens import with_token
from app.resources.traces import Event

# What Heroku does not keep is not sent to it again and again: each time restarts the customer's apps.
ONCE_IN: Final = timedelta(days=1)


async def config_standing(context: Context, resource: Resource) -> Standing:
    """How what Heroku has stands to what it should have.

    Raises:
        Gone: Heroku does not know it.
        Refused, Unauthorized, Retry: that could not be found out.
    """
    found: list[Mapping[str, str]] = []

    async def look(token: str) -> None:
        found.append(await context.heroku.config(resource.uuid, token))

    await with_token(context, resource.uuid, look, is_routine=True)
    return standing(context.keys, resource, found[-1])


async def send_again(context: Context, session: AsyncSession, resource: Resource) -> bool:
    """Have the config pushed once more, because Heroku has an older one; False if that was done within a day.

    Previous credentials that were about to be retired live for another overlap from the moment that Heroku has the new
    ones: until then they are all that the apps have.

    Args:
        context: as everywhere.
        session: its transaction.
        resource: locked, and provisioned.
    """
    now = context.clock()
    lately = (Event.resource_uuid == resource.uuid, Event.kind == "config_resent", Event.at > now - ONCE_IN)
    if await session.scalar(select(Event.id).where(*lately).limit(1)) is not None:
        return False
    resource.config_version += 1
    resource.config_changed_at = now
    look_soon(resource, now)
    if resource.retire_at is not None:
        resource.rotated_at, resource.retire_at, resource.retirement_asked_at = now, None, None
    text = "Heroku did not have the newest config vars, so they are sent again"
    record(session, resource.uuid, now, "config_resent", PROGRAM, text)
    await context.queue.enqueue(session, "push_config", resource.uuid, at_most_one=True)
    return True
