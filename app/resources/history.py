"""What a customer may read about a resource, and the two things that are remembered about a visit to its pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Gone, Refused
from app.resources.lifecycle import record
from app.resources.models import Resource, State
from app.resources.traces import Event, Reading, SignIn

_NEWEST_EVENTS: Final = 20


@dataclass(frozen=True, slots=True)
class Hour:
    """The most that was used in the hour that began at `begun_at`."""

    begun_at: datetime
    used: int


@dataclass(frozen=True, slots=True)
class Usage:
    """One measure of a resource: its newest reading, and its past hour by hour, oldest first; hours may be missing."""

    newest: Reading
    hours: tuple[Hour, ...]


async def usage_since(session: AsyncSession, uuid: UUID, since: datetime) -> list[Usage]:
    """What the last measurement has read, sizes before counts; what only an earlier plan measured is left out."""
    of_resource = Reading.resource_uuid == uuid
    last_at = select(func.max(Reading.at)).where(of_resource).scalar_subquery()
    newest = await session.scalars(
        select(Reading).where(of_resource, Reading.at == last_at).order_by(Reading.unit, Reading.name)
    )
    past = await session.execute(
        select(Reading.name, func.date_trunc("hour", Reading.at).label("hour"), func.max(Reading.used))
        .where(of_resource, Reading.at >= since)
        .group_by(Reading.name, "hour")
        .order_by("hour")
    )
    hours: dict[str, list[Hour]] = {}
    for name, begun_at, used in past:
        hours.setdefault(name, []).append(Hour(begun_at, used))
    return [Usage(reading, tuple(hours.get(reading.name, ()))) for reading in newest]


async def events_for_customer(session: AsyncSession, uuid: UUID) -> Sequence[Event]:
    """The newest lines of the history that are meant for customers, newest first."""
    query = select(Event).where(Event.resource_uuid == uuid, Event.is_for_customer)
    return (await session.scalars(query.order_by(Event.id.desc()).limit(_NEWEST_EVENTS))).all()


async def show_config(context: Context, uuid: UUID, actor: str) -> Mapping[str, str]:
    """The config vars with their values, for a customer's eyes; who looked is remembered, or nothing is returned.

    Raises:
        Refused: there are none yet.
        Gone: no such resource.
    """
    async with context.database.transaction() as session:
        resource = await session.get(Resource, uuid)
        if resource is None or resource.is_gone:
            raise Gone
        if resource.state is not State.PROVISIONED:
            raise Refused("The add-on is still being provisioned. Its config vars are there when it is ready.")
        record(session, uuid, context.clock(), "config_shown", actor, "Values of the config vars shown")
    return resource.config(context.keys)


async def sign_out(context: Context, sign_in: SignIn, actor: str) -> None:
    """End a sign-in: its cookie, and every copy of it, is worth nothing from now on. Twice is fine."""
    async with context.database.transaction() as session:
        row = await session.get_one(SignIn, sign_in.id, with_for_update=True)
        if row.signed_out_at is None:
            row.signed_out_at = context.clock()
            record(session, row.resource_uuid, row.signed_out_at, "signed_out", actor, "Signed out")
