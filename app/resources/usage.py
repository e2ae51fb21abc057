"""How much of its plan a resource uses, and what happens over the quota: first a warning, then no writes, then back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.drivers.base import Measure
from app.resources.lifecycle import PROGRAM, locked, tell
from app.resources.models import Resource, State
from app.resources.traces import Reading

# Time for a customer to react to the warning before writes are refused.
GRACE: Final = timedelta(hours=1)
# How long readings are kept for the chart.
MEMORY: Final = timedelta(days=7)


async def measure_usage(context: Context, uuid: UUID) -> None:
    """Take a reading; warn, restrict or restore the resource by what it says."""
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
    if resource.state is not State.PROVISIONED:
        return
    driver, info = context.plans[resource.plan].driver, resource.info(context.keys)
    with context.watch.driver_call(resource.plan, "usage"):
        measures = await driver.usage(info)
    is_over = any(measure.enforced and measure.used > measure.limit for measure in measures)
    is_read_only = is_over and (
        resource.read_only_at is not None
        or (resource.over_quota_at is not None and context.clock() >= resource.over_quota_at + GRACE)
    )
    # Also when nothing changes: a restriction that was lost half way is put right at the next reading.
    if is_read_only or resource.read_only_at is not None:
        with context.watch.driver_call(resource.plan, "restrict"):
            await driver.restrict(info, read_only=is_read_only)
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.state is State.PROVISIONED:
            await _store(context, session, resource, measures)
            await _record_quota(context, session, resource, is_over=is_over, is_read_only=is_read_only)


async def _store(context: Context, session: AsyncSession, resource: Resource, measures: Sequence[Measure]) -> None:
    now = context.clock()
    rows = [
        {
            "resource_uuid": resource.uuid,
            "name": measure.name,
            "at": now,
            "used": measure.used,
            "limit": measure.limit,
            "unit": measure.unit,
        }
        for measure in measures
    ]
    if rows:
        await session.execute(insert(Reading).values(rows).on_conflict_do_nothing())  # twice at one time is once
    await session.execute(delete(Reading).where(Reading.resource_uuid == resource.uuid, Reading.at < now - MEMORY))


async def _record_quota(
    context: Context, session: AsyncSession, resource: Resource, *, is_over: bool, is_read_only: bool
) -> None:
    now, uuid = context.clock(), resource.uuid
    if is_over and resource.over_quota_at is None:
        resource.over_quota_at = now
        minutes = int(GRACE / timedelta(minutes=1))
        text = f"Over the plan's storage limit. Writes will be refused in {minutes} minutes unless there is room again."
        await tell(context, session, uuid, now, "over_quota", PROGRAM, text)
    if is_read_only and resource.read_only_at is None:
        resource.read_only_at = now
        text = "Still over the plan's storage limit: writes are refused. Delete data or choose a larger plan."
        await tell(context, session, uuid, now, "writes_refused", PROGRAM, text)
    if not is_over and resource.read_only_at is not None:
        resource.read_only_at = None
        await tell(
            context, session, uuid, now, "writes_restored", PROGRAM, "Below the plan's storage limit again: writes work"
        )
    if not is_over and resource.over_quota_at is not None:
        resource.over_quota_at = None
        await tell(context, session, uuid, now, "below_quota", PROGRAM, "Below the plan's storage limit again")
