"""Suspension: an operator closes a service to its customer for a while; what is stored stays, and the config too.

The row says whether a resource is suspended, and since when the service is not there yet; two jobs bring it there. They
go before whatever else waits for the resource, and are never given up by themselves: an operator's word holds until
another takes it back. An operator may skip such a job, so that what waits behind it goes on; the row keeps saying that
the service is not where it should be.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from app.context import Context
from app.errors import Gone, Refused
from app.resources.lifecycle import locked, tell
from app.resources.models import Resource, State

SUSPENDED: Final = "This add-on is suspended. Please contact support."


def why_no_suspension(context: Context, resource: Resource) -> str | None:
    """A sentence if the resource cannot be suspended now, else None."""
    if resource.state is not State.PROVISIONED:
        return "Only a provisioned resource can be suspended."
    if not context.plans[resource.plan].driver.can_suspend:
        return "What this plan sells cannot be suspended: its driver does not know how."
    return "It is suspended already." if resource.suspended_at is not None else None


async def suspend(
    context: Context, uuid: UUID, actor: str, *, operator_id: UUID | None = None, reason: str | None = None
) -> None:
    """Let nobody in any more.

    Raises:
        Refused: it is suspended already, or cannot be.
        Gone: no such resource.
    """
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Gone
        if (why_not := why_no_suspension(context, resource)) is not None:
            raise Refused(why_not)
        now = context.clock()
        resource.suspended_at = resource.suspension_waits_since = now
        text = "Suspended: the service lets nobody in; what is stored is kept"
        await tell(context, session, uuid, now, "suspended", actor, text, operator_id=operator_id, reason=reason)
        await context.queue.enqueue(session, "suspend_service", uuid, at_most_one=True, priority=1)


async def resume(
    context: Context, uuid: UUID, actor: str, *, operator_id: UUID | None = None, reason: str | None = None
) -> None:
    """Let in again whom the suspension has shut out.

    Raises:
        Refused: it is not suspended.
        Gone: no such resource.
    """
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Gone
        if resource.suspended_at is None:
            raise Refused("It is not suspended.")
        now = context.clock()
        resource.suspended_at, resource.suspension_waits_since = None, now
        text = "Resumed: the service works again, with the same credentials"
        await tell(context, session, uuid, now, "resumed", actor, text, operator_id=operator_id, reason=reason)
        await context.queue.enqueue(session, "resume_service", uuid, at_most_one=True, priority=1)


async def suspend_service(context: Context, uuid: UUID) -> None:
    """Have the driver close the service, if it is still to be closed."""
    async with context.database.transaction() as session:
        resource = await session.get_one(Resource, uuid)
    if not resource.is_gone and resource.suspended_at is not None:
        with context.watch.driver_call(resource.plan, "suspend"):
            await context.plans[resource.plan].driver.suspend(resource.info(context.keys))
        await _note_done(context, uuid, resource.suspended_at)


async def resume_service(context: Context, uuid: UUID) -> None:
    """Have the driver open the service again, if it is still to be opened."""
    async with context.database.transaction() as session:
        resource = await session.get_one(Resource, uuid)
    if not resource.is_gone and resource.suspended_at is None:
        with context.watch.driver_call(resource.plan, "resume"):
            await context.plans[resource.plan].driver.resume(resource.info(context.keys))
        await _note_done(context, uuid, None)


async def _note_done(context: Context, uuid: UUID, suspended_at: datetime | None) -> None:
    """The service is where the row wants it, unless that wants something else by now: then another job waits."""
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.suspended_at == suspended_at:
            resource.suspension_waits_since = None
