"""How batches are worked through: in rounds, by one worker at a time, a few resources at a time.

What an action changes, the jobs it enqueues and the note that it has begun are one transaction: a crash loses nothing
and repeats nothing. An item is over when nothing that was enqueued for its resource waits any more.

A batch must leave room for customers. Its jobs go after theirs; only so many of its resources are under way at once;
and it begins no more of them a minute than `BATCH_PER_MINUTE` says, because Heroku limits the calls of an account to
4,500 an hour, refilled by about 75 a minute, and a rotation takes two.
https://devcenter.heroku.com/articles/platform-api-reference#rate-limits
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused, Retry
from app.operations.batch_beginning import begin, note
from app.operations.batch_outcomes import begun_items, outcome_of
from app.operations.batches import action_title, on_whose_word
from app.operations.models import Batch, BatchItem, BatchState, ItemState
from app.resources.lifecycle import PROGRAM, record
from app.resources.models import Resource

_log = structlog.get_logger(__name__)

# How many resources are under way at once, in all batches. One whose work waits longer, such as for a service that is
# away, makes room for others meanwhile.
IN_FLIGHT: Final = 100
_UNDER_WAY: Final = timedelta(minutes=5)
# So many failures one after the other are no accident: the batch pauses, and somebody has a look.
MOST_FAILURES: Final = 20
# The worker calls for rounds every three seconds.
_ROUNDS: Final = timedelta(seconds=2.5)
_PAUSE: Final = timedelta(milliseconds=500)
# So many begin in one transaction. Until it is committed, customers wait who want to change one of these resources.
_TOGETHER: Final = 25
_MINUTE: Final = timedelta(minutes=1)

# What calls Heroku for no resource needs no pace.
_NEEDS_NO_PACE: Final = ("suspend", "resume")
_CALLS_HEROKU: Final = Batch.action.not_in(_NEEDS_NO_PACE)

_LOCK: Final = text("SELECT pg_try_advisory_xact_lock(hashtext('batches'))")


class _Begun(Enum):
    """How an attempt to begin has ended."""

    SOME = auto()
    NOTHING = auto()
    """There is nothing to begin with now, or another worker is at it."""
    NO_ROOM = auto()
    """As many as may be are under way."""


async def keep_working(context: Context) -> None:
    """Rounds until it is the next ones' turn: where many are under way, some of them end every moment."""
    deadline = _now() + _ROUNDS.total_seconds()
    while True:
        is_worth_while = await work(context, deadline)
        if not is_worth_while or _now() > deadline:
            return
        await asyncio.sleep(_PAUSE.total_seconds())


def _now() -> float:
    return asyncio.get_running_loop().time()


async def work(context: Context, deadline: float | None = None) -> bool:
    """One round: note what became of what has begun, begin what there is room for, end what is done.

    Args:
        context: as everywhere.
        deadline: by the clock of the event loop; nothing begins after it.

    Returns:
        whether there was no room for more: another round is worth while soon.
    """
    begun = _Begun.NOTHING
    try:
        await _note_outcomes(context)
        await _pause_forsaken(context)
        while (begun := await _begin_some(context)) is _Begun.SOME:
            if deadline is not None and _now() > deadline:
                break
        await _end_done(context)
    except Retry as retry:
        _log.warning("batches wait", reason=str(retry))
        return False
    return begun is _Begun.NO_ROOM


async def _begin_some(context: Context) -> _Begun:
    """Begin with a few resources of one batch, in one transaction."""
    async with context.database.transaction() as session:
        if not await session.scalar(_LOCK):
            return _Begun.NOTHING
        now = context.clock()
        room = IN_FLIGHT - await _under_way(session, now)
        if room <= 0:
            return _Begun.NO_ROOM
        left = context.settings.batch_per_minute - await begun_lately(session, now)
        may_begin = _may_begin(may_call_heroku=left > 0)
        number = await session.scalar(select(func.count()).select_from(Batch).where(*may_begin))
        batch = await _next_batch(session, may_begin)
        if not number or batch is None:
            return _Begun.NOTHING
        try:
            actor = await on_whose_word(session, batch)
        except Refused as refused:
            _pause(context, session, batch, refused.message)
            return _Begun.SOME
        most = min(max(room // number, 1), _TOGETHER, _TOGETHER if batch.action in _NEEDS_NO_PACE else left)
        resources = await _take(session, batch, most)
        if not resources:
            return _Begun.NOTHING
        await begin(context, session, batch, actor, resources)
    return _Begun.SOME


async def _take(session: AsyncSession, batch: Batch, most: int) -> Sequence[Resource]:
    """The next ones, but for those that somebody is changing: nobody else is in the way of one, or waits for it.

    From here on nobody else changes them, and what is read of them is what they are.
    """
    query = (
        select(Resource)
        .join(BatchItem, Resource.uuid == BatchItem.resource_uuid)
        .where(BatchItem.batch_id == batch.id, BatchItem.state == ItemState.WAITING)
        .order_by(BatchItem.resource_uuid)
        .limit(most)
        .with_for_update(of=Resource, key_share=True, skip_locked=True)
    )
    return (await session.scalars(query)).all()


async def _under_way(session: AsyncSession, now: datetime) -> int:
    begun = (BatchItem.state == ItemState.BEGUN, BatchItem.begun_at > now - _UNDER_WAY)
    return int(await session.scalar(select(func.count()).where(*begun)) or 0)


def _may_begin(*, may_call_heroku: bool) -> list[ColumnElement[bool]]:
    """Of which batches a resource may begin now."""
    has_more = exists().where(BatchItem.batch_id == Batch.id, BatchItem.state == ItemState.WAITING)
    return [Batch.state == BatchState.RUNNING, has_more, *([] if may_call_heroku else [~_CALLS_HEROKU])]


async def _next_batch(session: AsyncSession, may_begin: Sequence[ColumnElement[bool]]) -> Batch | None:
    """The one with the fewest resources under way."""
    begun = (BatchItem.batch_id == Batch.id, BatchItem.state == ItemState.BEGUN)
    of_batch = select(func.count()).where(*begun).correlate(Batch).scalar_subquery()
    query = select(Batch).where(*may_begin).order_by(of_batch, Batch.created_at).limit(1)
    return await session.scalar(query.with_for_update(of=Batch))


async def begun_lately(session: AsyncSession, now: datetime) -> int:
    """With how many resources batches have begun within the last minute, where the work calls Heroku."""
    lately = select(func.count()).select_from(BatchItem).join(Batch)
    return int(await session.scalar(lately.where(BatchItem.begun_at > now - _MINUTE, _CALLS_HEROKU)) or 0)


async def _note_outcomes(context: Context) -> None:
    async with context.database.transaction() as session:
        if not await session.scalar(_LOCK):
            return
        now = context.clock()
        ended: dict[tuple[UUID, ItemState, str | None], list[UUID]] = defaultdict(list)
        # One statement: what it sees of a resource, its history and its jobs belongs together.
        for row in await session.execute(begun_items()):
            outcome = outcome_of(row, now)
            if outcome is not None:
                ended[row.batch_id, *outcome].append(row.resource_uuid)
        for (batch_id, state, message), uuids in ended.items():
            await note(session, batch_id, uuids, {"state": state, "message": message, "ended_at": now})
        for batch_id in {batch_id for batch_id, state, _ in ended if state is ItemState.FAILED}:
            await _pause_if_hopeless(context, session, batch_id)


async def _pause_if_hopeless(context: Context, session: AsyncSession, batch_id: UUID) -> None:
    batch = await session.get_one(Batch, batch_id, with_for_update=True)
    if batch.state is not BatchState.RUNNING:
        return
    had_begun = and_(BatchItem.batch_id == batch_id, BatchItem.begun_at.is_not(None))
    lately = select(BatchItem.state).where(had_begun, BatchItem.ended_at >= batch.started_at)
    # Of what ended at the same time, what is done counts first.
    last = await session.scalars(lately.order_by(BatchItem.ended_at.desc(), BatchItem.state).limit(MOST_FAILURES))
    states = list(last)
    if len(states) == MOST_FAILURES and ItemState.DONE not in states:
        note = f"{MOST_FAILURES} resources failed one after the other. See why before you resume it."
        _pause(context, session, batch, note)


async def _pause_forsaken(context: Context) -> None:
    """Pause what goes on by the word of somebody who may not give it any more, also while there is no room to begin."""
    has_more = exists().where(BatchItem.batch_id == Batch.id, BatchItem.state == ItemState.WAITING)
    async with context.database.transaction() as session:
        running = select(Batch).where(Batch.state == BatchState.RUNNING, has_more).with_for_update(of=Batch)
        for batch in await session.scalars(running):
            try:
                await on_whose_word(session, batch)
            except Refused as refused:
                _pause(context, session, batch, refused.message)


def _pause(context: Context, session: AsyncSession, batch: Batch, note: str) -> None:
    batch.state, batch.note = BatchState.PAUSED, note
    _log.error("a batch is paused", batch=str(batch.id), reason=note)
    _note(context, session, batch, "batch_paused", f"paused: {note}")


async def _end_done(context: Context) -> None:
    open_items = exists().where(
        BatchItem.batch_id == Batch.id, BatchItem.state.in_((ItemState.WAITING, ItemState.BEGUN))
    )
    async with context.database.transaction() as session:
        done = select(Batch).where(Batch.state == BatchState.RUNNING, ~open_items).with_for_update()
        for batch in await session.scalars(done):
            batch.state, batch.ended_at = BatchState.DONE, context.clock()
            _note(context, session, batch, "batch_done", "done")


def _note(context: Context, session: AsyncSession, batch: Batch, kind: str, what: str) -> None:
    record(session, None, context.clock(), kind, PROGRAM, f"Batch {batch.id}, {action_title(batch)}: {what}")
