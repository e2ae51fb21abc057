"""What has come due without anybody asking: found in the rows once a minute, and enqueued."""

from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, exists, select

from app.context import Context
from app.resources.jobs import IN_USE, PROVISIONING_LIMIT
from app.resources.lifecycle import end_in_background
from app.resources.models import Resource, State
from app.resources.removal import UNSETTLED_FOR
from app.resources.traces import Event

_log = structlog.get_logger(__name__)

_BATCH: Final = 500

TOO_LATE: Final = "The add-on was not ready within twelve hours."


async def sweep(context: Context) -> None:
    """Finish what a dead process has left, retire credentials, remove what was kept, end what took too long to make."""
    now = context.clock()
    for uuid in await _find(context, Resource.unsettled_since < now - UNSETTLED_FOR):
        await _enqueue(context, "settle", uuid)
    for uuid in await _find(context, Resource.retire_at <= now):
        await _enqueue(context, "retire_service", uuid)
    for uuid in await _find(context, Resource.kept_until <= now):
        await _enqueue(context, "deprovision_service", uuid)
    too_old = (Resource.state == State.PROVISIONING) & (Resource.created_at < now - PROVISIONING_LIMIT)
    for uuid in await _find(context, too_old):
        await _give_up(context, uuid)


async def enqueue_measurements(context: Context) -> None:
    """A reading of every provisioned resource whose driver can tell, or that is held to what one told before."""
    can_tell = [plan.name for plan in context.plans.values() if plan.driver.can_tell_usage]
    is_measured = Resource.plan.in_(can_tell) | Resource.over_quota_at.is_not(None) | Resource.read_only_at.is_not(None)
    last = UUID(int=0)
    while True:
        async with context.database.transaction() as session:
            query = select(Resource.uuid).where(Resource.state == State.PROVISIONED, is_measured, Resource.uuid > last)
            uuids = (await session.scalars(query.order_by(Resource.uuid).limit(_BATCH))).all()
            for uuid in uuids:
                await context.queue.enqueue(session, "measure_usage", uuid, at_most_one=True, priority=-1)
        if not uuids:
            return
        last = uuids[-1]


async def _find(context: Context, condition: ColumnElement[bool]) -> list[UUID]:
    async with context.database.transaction() as session:
        return list(await session.scalars(select(Resource.uuid).where(condition).limit(_BATCH)))


async def _enqueue(context: Context, job: str, uuid: UUID) -> None:
    async with context.database.transaction() as session:
        await context.queue.enqueue(session, job, uuid, at_most_one=True)


async def _give_up(context: Context, uuid: UUID) -> None:
    async with context.database.transaction() as session:
        resource = await session.get_one(Resource, uuid, with_for_update=True)
        is_in_use = exists().where(Event.resource_uuid == uuid, Event.kind == IN_USE)
        if await session.scalar(select(is_in_use)):
            return
        if resource.state is State.PROVISIONING and resource.refusal is None:
            _log.error("provisioning took too long", resource=str(uuid))
            resource.refusal = TOO_LATE
            await end_in_background(context, session, uuid)
