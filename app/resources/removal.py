"""What becomes of a service after its resource has ended: removed at once, or kept out of reach for a while.

`kept_until` decides. While it lies ahead the service is set aside, and an operator may restore it; then, or if it was
never set, the service is removed for ever. The row is a tombstone throughout: for Heroku the resource stays gone.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.context import Context
from app.errors import Gone, Refused
from app.resources.lifecycle import PROGRAM, locked, record, store_made
from app.resources.models import Resource

# A request that works on a resource is done long before this; later, its process has died.
UNSETTLED_FOR: Final = timedelta(minutes=1)
# How long a restored service can be used, unless it was to be kept even longer.
RESTORED_FOR: Final = timedelta(days=7)


def why_no_restoring(resource: Resource, now: datetime) -> str | None:
    """A sentence if the service of a resource cannot be restored now, else None."""
    if not resource.is_gone:
        return "Only a deprovisioned service can be restored."
    if resource.kept_until is None or resource.kept_until <= now:
        return "Nothing of this service is kept any more."
    return "It is restored already." if resource.restored_at is not None else None


def why_no_purge(resource: Resource) -> str | None:
    """A sentence if there is nothing kept that could be removed early, else None."""
    return None if resource.is_gone and resource.kept_until is not None else "Nothing of this service is kept."


async def restore(
    context: Context, uuid: UUID, actor: str, *, operator_id: UUID | None = None, reason: str | None = None
) -> datetime:
    """Open what is kept, with a new credential, until the time that is returned.

    Raises:
        Refused: nothing is kept, or it is restored already.
        Gone: there never was such a resource.
    """
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        now = context.clock()
        if (why_not := why_no_restoring(resource, now)) is not None:
            raise Refused(why_not)
        until = resource.kept_until = max(resource.kept_until or now, now + RESTORED_FOR)
        resource.restored_at = now
        resource.generation += 1
        text = f"Restored with new credentials, until {until:%Y-%m-%d %H:%M} UTC"
        record(session, uuid, now, "restored", actor, text, operator_id=operator_id, reason=reason)
        await context.queue.enqueue(session, "bring_back_service", uuid, at_most_one=True)
    return until


async def purge(
    context: Context, uuid: UUID, actor: str, *, operator_id: UUID | None = None, reason: str | None = None
) -> None:
    """Remove now what was to be kept longer.

    Raises:
        Refused: nothing is kept.
        Gone: there never was such a resource.
    """
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if (why_not := why_no_purge(resource)) is not None:
            raise Refused(why_not)
        now = resource.kept_until = context.clock()
        record(
            session, uuid, now, "purged", actor, "To be removed for ever, now", operator_id=operator_id, reason=reason
        )
        await context.queue.enqueue(session, "deprovision_service", uuid, at_most_one=True)


async def deprovision_service(context: Context, uuid: UUID) -> None:
    """Have the driver set the service aside, or remove it; and forget its config."""
    async with context.database.transaction() as session:
        resource = await session.get_one(Resource, uuid)
    driver, info = context.plans[resource.plan].driver, resource.info(context.keys)
    is_kept = resource.kept_until is not None and resource.kept_until > context.clock()
    if is_kept and resource.restored_at is None:
        with context.watch.driver_call(resource.plan, "set_aside"):
            await driver.set_aside(info)
    elif not is_kept:
        with suppress(Gone), context.watch.driver_call(resource.plan, "deprovision"):  # gone is as good as removed
            await driver.deprovision(info)
    is_restored = is_kept and resource.restored_at is not None
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        now = context.clock()
        # A request may still have its driver make something: if its process dies, the sweep comes back for that.
        if resource.unsettled_since is not None and resource.unsettled_since <= now - UNSETTLED_FOR:
            resource.unsettled_since = None
        if is_kept and not is_restored and resource.config_sealed is not None:
            text = f"Out of reach, and kept until {resource.kept_until:%Y-%m-%d %H:%M} UTC"
            record(session, uuid, now, "set_aside", PROGRAM, text)
        if not is_kept:
            resource.kept_until = None
            if resource.removed_at is None:
                resource.removed_at = now
                record(session, uuid, now, "removed", PROGRAM, "Service and credentials removed")
        # The seed and the details stay: a removal may have to be repeated, and needs to know what to look for. The
        # config has no such use, except while it opens a restored service.
        if not is_restored:
            resource.seal(context.keys, "config", None)


async def bring_back_service(context: Context, uuid: UUID) -> None:
    """Have the driver open what was set aside, and keep the config for operators to hand over."""
    async with context.database.transaction() as session:
        resource = await session.get_one(Resource, uuid)
    if resource.restored_at is None or resource.kept_until is None or resource.kept_until <= context.clock():
        return
    with context.watch.driver_call(resource.plan, "bring_back"):
        restored = await context.plans[resource.plan].driver.bring_back(resource.info(context.keys))
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        store_made(context, resource, restored)
        record(session, uuid, context.clock(), "brought_back", PROGRAM, "The service can be reached again")
