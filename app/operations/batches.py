"""Many at once: an order for one action on every resource that a search finds, up to `MOST` of them.

An order is stored with one item for each resource and worked through by `batch_work.py`. Here are the operator's verbs:
order, pause, resume, cancel; and what there is to see.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused
from app.operations.action import Action, clean_reason
from app.operations.actions import ACTIONS
from app.operations.batch_selection import check_parameters, selected
from app.operations.models import Batch, BatchItem, BatchState, ItemState
from app.operators.roles import Actor, Role
from app.resources.lifecycle import record
from app.resources.models import Resource, State

PAGE: Final = 50
_BATCHES: Final = 20
_CHUNK: Final = 1000
# What the speed is measured over.
_LATELY: Final = timedelta(minutes=10)
_SHORTEST_MEASURE: Final = timedelta(seconds=5)


async def order(
    context: Context,
    actor: Actor,
    *,
    action: Action,
    query: str,
    parameters: Mapping[str, str],
    reason: str,
    number: int | None,
) -> UUID:
    """Store a batch; the worker begins with it within seconds. Its id.

    Args:
        context: as everywhere.
        actor: who orders it; it goes on with this role, whatever becomes of the account.
        action: one that is for many.
        query: a search, or `failed-in:` and the id of a batch.
        parameters: of the action, the same for every resource.
        reason: kept in the history of every resource.
        number: how many the operator thinks they are.

    Raises:
        Refused: the role is too low, the reason is missing, nothing or too much is found, or another number.
    """
    need(actor, action)
    reason = clean_reason(reason)
    uuids = await selected(context, query)
    if number != len(uuids):
        raise Refused(f"Type how many resources it is about, {len(uuids)}, to confirm. Nothing was done.")
    chosen = await check_parameters(context, action, uuids, parameters)
    batch = Batch(
        id=uuid4(),
        action=action.id,
        parameters=chosen,
        query=query,
        reason=reason,
        actor=actor.name,
        role_number=actor.role,
        operator_id=actor.operator_id,
        created_at=context.clock(),
        started_at=context.clock(),
    )
    async with context.database.transaction() as session:
        session.add(batch)
        await session.flush()
        for first in range(0, len(uuids), _CHUNK):
            rows = [
                {"batch_id": batch.id, "resource_uuid": uuid, "state": ItemState.WAITING}
                for uuid in uuids[first : first + _CHUNK]
            ]
            await session.execute(insert(BatchItem), rows)
        _note(context, session, actor, "batch_ordered", f"{_title(batch)}: {len(uuids)} resources, {query}", reason)
    return batch.id


async def pause(context: Context, actor: Actor, batch_id: UUID) -> None:
    """Begin with no further resource; what has begun finishes.

    Raises:
        Refused: the role is too low, or it is not running.
    """
    async with context.database.transaction() as session:
        batch = await _locked(session, actor, batch_id)
        if batch.state is not BatchState.RUNNING:
            raise Refused(f"It cannot be paused: it is {batch.state}.")
        batch.state = BatchState.PAUSED
        _note(context, session, actor, "batch_paused", f"{_title(batch)}: paused")


async def resume(context: Context, actor: Actor, batch_id: UUID) -> None:
    """Go on with a paused batch.

    Raises:
        Refused: the role is too low, or it is not paused.
    """
    async with context.database.transaction() as session:
        batch = await _locked(session, actor, batch_id)
        if batch.state is not BatchState.PAUSED:
            raise Refused(f"It cannot be resumed: it is {batch.state}.")
        batch.state, batch.started_at = BatchState.RUNNING, context.clock()
        _note(context, session, actor, "batch_resumed", f"{_title(batch)}: resumed")


async def cancel(context: Context, actor: Actor, batch_id: UUID) -> None:
    """Leave out what has not begun; what has begun finishes.

    Raises:
        Refused: the role is too low, or it is over already.
    """
    async with context.database.transaction() as session:
        batch = await _locked(session, actor, batch_id)
        if batch.ended_at is not None:
            raise Refused(f"It cannot be cancelled: it is {batch.state}.")
        batch.state, batch.ended_at = BatchState.CANCELLED, context.clock()
        _note(context, session, actor, "batch_cancelled", f"{_title(batch)}: cancelled")


def need(actor: Actor, action: Action) -> None:
    """Let nobody pass who may not do this to many.

    Raises:
        Refused: the role is too low, or the action is for one resource at a time.
    """
    actor.need(max(action.role, Role.OPERATOR))
    if not action.is_for_many:
        raise Refused(f"{action.title}: that is done to one resource at a time.")


async def _locked(session: AsyncSession, actor: Actor, batch_id: UUID) -> Batch:
    actor.need(Role.OPERATOR)
    batch = await session.get(Batch, batch_id, with_for_update=True)
    if batch is None:
        raise Refused("There is no such batch.")
    return batch


def _title(batch: Batch) -> str:
    return f"Batch {batch.id}, {action_title(batch)}"


def action_title(batch: Batch) -> str:
    """What it does, also if that action is no longer offered."""
    action = ACTIONS.get(batch.action)
    title = action.title if action is not None else batch.action
    return " ".join([title, *(f"({value})" for value in batch.parameters.values())])


def _note(
    context: Context, session: AsyncSession, actor: Actor, kind: str, text: str, reason: str | None = None
) -> None:
    record(session, None, context.clock(), kind, actor.name, text, operator_id=actor.operator_id, reason=reason)


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
    """Resources of a batch in the order of their uuids, after the given one; and what the next page is after, if any."""
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
