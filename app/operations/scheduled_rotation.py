"""Rotation by the schedule of a plan: a few resources every minute, whose credentials are older than `rotate_every`.

Thousands may come due at once, such as on the day that a plan gets its schedule. So no more are begun in a minute than
a third of `BATCH_PER_MINUTE`, and none beyond what operators' batches leave of it; their jobs go after customers'.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import exists, func, or_, select

from app.context import Context
from app.errors import Gone, Refused
from app.operations.batch_work import begun_lately
from app.plans import Plan
from app.resources import rotation
from app.resources.lifecycle import PROGRAM
from app.resources.models import Resource, State
from app.resources.traces import Event

_log = structlog.get_logger(__name__)

# Of the resources that operators' batches may begin with in a minute.
_SHARE: Final = 3
# Whose new credentials are not at Heroku yet, at once. One for which that takes longer makes room for others.
_MOST_UNDER_WAY: Final = 25
_UNDER_WAY: Final = timedelta(hours=1)
# A rotation that was given up is not asked for again within this.
_AFTER_FAILURE: Final = timedelta(days=1)


async def rotate_due(context: Context) -> None:
    """The round of every minute: begin with those whose turn came first."""
    room = await _room(context)
    if room <= 0:
        return
    due = [one for plan in context.plans.values() for one in await _due(context, plan, room)]
    within = replace(context, queue=context.queue.for_many())
    for _, uuid in sorted(due)[:room]:
        try:
            await rotation.rotate(within, uuid, PROGRAM, is_scheduled=True)
        except (Refused, Gone) as error:
            _log.info("not rotated by schedule after all", resource=str(uuid), reason=str(error))


async def _room(context: Context) -> int:
    """With how many the round may begin."""
    per_minute = context.settings.batch_per_minute
    since = context.clock() - _UNDER_WAY
    is_under_way = or_(Resource.rotation_requested_at > since, Resource.rotated_at > since)
    async with context.database.transaction() as session:
        left = per_minute - await begun_lately(session, context.clock())
        under_way = await session.scalar(select(func.count()).where(is_under_way)) or 0
    return min(max(1, per_minute // _SHARE), left, _MOST_UNDER_WAY - under_way)


async def _due(context: Context, plan: Plan, most: int) -> list[tuple[datetime, UUID]]:
    """Resources of a plan that are due, the longest due first, each after the time at which it became due."""
    if plan.rotate_every is None:
        return []
    now, every = context.clock(), plan.rotate_every
    of_resource = (Event.resource_uuid == Resource.uuid, Event.at > now - _AFTER_FAILURE)
    query = (
        select(Resource.credentials_at + every, Resource.uuid)
        .where(
            Resource.state == State.PROVISIONED,
            Resource.plan == plan.name,
            Resource.credentials_at <= now - every,
            # What `why_no_scheduled_rotation` says of each, so that these do not stand in the way of the others.
            Resource.suspended_at.is_(None),
            Resource.refresh_token_sealed.is_not(None),
            Resource.tokens_refused_at.is_(None),
            Resource.unknown_to_heroku_at.is_(None),
            Resource.config_differs_at.is_(None),
            Resource.rotation_requested_at.is_(None),
            Resource.rotated_at.is_(None),
            Resource.retire_at.is_(None),
            ~exists().where(*of_resource, Event.kind == "rotation_failed"),
        )
        .order_by(Resource.credentials_at)
        .limit(most)
    )
    async with context.database.transaction() as session:
        return [(at, uuid) for at, uuid in await session.execute(query) if at is not None]
