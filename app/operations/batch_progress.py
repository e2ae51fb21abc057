"""How far batches are, and what became of each resource."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.operations.models import Batch, BatchItem, BatchState, ItemState
from app.resources.models import Resource, State

PAGE: Final = 50
_BATCHES: Final = 20
_CHUNK: Final = 1000
# What the speed is measured over.
_LATELY: Final = timedelta(minutes=10)
_SHORTEST_MEASURE: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A batch, and how far it is.

    Attributes:
        batch: its row.
        counts: how many resources are in each state.
        per_minute: how many were ended a minute, lately; None if that is not known yet or matters no more.
        ends_at: when it will be done at that speed.
    """

    batch: Batch
    counts: Mapping[ItemState, int]
    per_minute: float | None = None
    ends_at: datetime | None = None

    @property
    def number(self) -> int:
        """How many resources it is about."""
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        """For how many the outcome is known."""
        return self.counts[ItemState.DONE] + self.counts[ItemState.FAILED]

    @property
    def is_moving(self) -> bool:
        """Whether the numbers can still change by themselves."""
        return self.batch.state is BatchState.RUNNING or self.counts[ItemState.BEGUN] > 0


async def find(context: Context, batch_id: UUID) -> Progress | None:
    """One batch and how far it is."""
    now = context.clock()
    async with context.database.transaction() as session:
        batch = await session.get(Batch, batch_id)
        if batch is None:
            return None
        counts = (await _counts(session, [batch_id]))[batch_id]
        since = max(batch.started_at, now - _LATELY)
        ended_lately = await session.scalar(
            select(func.count()).where(BatchItem.batch_id == batch_id, BatchItem.ended_at >= since)
        )
    progress = Progress(batch=batch, counts=counts)
    if batch.state is not BatchState.RUNNING or not ended_lately or now - since < _SHORTEST_MEASURE:
        return progress
    per_minute = ended_lately / ((now - since) / timedelta(minutes=1))
    ends_at = now + timedelta(minutes=(progress.number - progress.ended) / per_minute)
    return Progress(batch=batch, counts=counts, per_minute=per_minute, ends_at=ends_at)


async def newest(context: Context, *, before: UUID | None = None) -> tuple[Sequence[Progress], UUID | None]:
    """Batches, newest first, before the given one; and what the next page is before, if there is one."""
    query = select(Batch).order_by(Batch.created_at.desc(), Batch.id.desc()).limit(_BATCHES + 1)
    if before is not None:
        key = select(Batch.created_at, Batch.id).where(Batch.id == before).subquery()
        query = query.where(tuple_(Batch.created_at, Batch.id) < select(key.c.created_at, key.c.id).scalar_subquery())
    async with context.database.transaction() as session:
        batches = (await session.scalars(query)).all()
        shown = batches[:_BATCHES]
        counts = await _counts(session, [batch.id for batch in shown])
    found = [Progress(batch=batch, counts=counts[batch.id]) for batch in shown]
    return found, shown[-1].id if len(batches) > _BATCHES else None


async def _counts(session: AsyncSession, ids: Sequence[UUID]) -> Mapping[UUID, Mapping[ItemState, int]]:
    counts = {batch_id: dict.fromkeys(ItemState, 0) for batch_id in ids}
    rows = await session.execute(
        select(BatchItem.batch_id, BatchItem.state, func.count())
        .where(BatchItem.batch_id.in_(ids))
        .group_by(BatchItem.batch_id, BatchItem.state)
    )
    for batch_id, state, number in rows:
        counts[batch_id][state] = number
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One resource of a batch, as people read it."""

    uuid: UUID
    name: str
    plan: str
    resource_state: State
    state: ItemState
    message: str | None
    begun_at: datetime | None
    ended_at: datetime | None


async def items(
    context: Context, batch_id: UUID, *, state: ItemState | None = None, after: UUID | None = None, limit: int = PAGE
) -> tuple[Sequence[Item], UUID | None]:
    """Resources of a batch in the order of their uuids, after the given one; and what the next page is after."""
    query = (
        select(BatchItem, Resource.name, Resource.plan, Resource.state)
        .join(Resource, Resource.uuid == BatchItem.resource_uuid)
        .where(BatchItem.batch_id == batch_id)
        .order_by(BatchItem.resource_uuid)
        .limit(limit + 1)
    )
    if state is not None:
        query = query.where(BatchItem.state == state)
    if after is not None:
        query = query.where(BatchItem.resource_uuid > after)
    async with context.database.transaction() as session:
        rows = (await session.execute(query)).all()
    found = [_item(*row) for row in rows[:limit]]
    return found, found[-1].uuid if len(rows) > limit else None


async def every_item(
    context: Context, batch_id: UUID, *, state: ItemState | None = None
) -> AsyncIterator[Sequence[Item]]:
    """All of them, in chunks with a transaction each."""
    after: UUID | None = None
    while True:
        found, after = await items(context, batch_id, state=state, after=after, limit=_CHUNK)
        yield found
        if after is None:
            return


def _item(item: BatchItem, name: str, plan: str, resource_state: State) -> Item:
    return Item(
        uuid=item.resource_uuid,
        name=name,
        plan=plan,
        resource_state=resource_state,
        state=item.state,
        message=item.message,
        begun_at=item.begun_at,
        ended_at=item.ended_at,
    )
