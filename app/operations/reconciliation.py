"""Comparing our rows with Heroku's list of installs, both ways, at any number of them.

Heroku's list is stored first, page by page, because it comes in an order of its own; then both sides are read in the
order of their uuids, a few thousand rows at a time. Nothing is changed by it: what would mend a difference is proposed,
and done by `repairs.py` when an operator says so.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import structlog
from sqlalchemy import ColumnElement, Update, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_row
from sqlalchemy.orm import InstrumentedAttribute

from app.context import Context
from app.errors import Refused, Retry
from app.operations.comparison import GRACE, Finding, Ours, on_both, only_here, only_there
from app.operations.installs import Install, Pause, listed
from app.operations.models import Difference, ListedInstall, Reconciliation
from app.operators.roles import Actor, Role
from app.resources.lifecycle import PROGRAM
from app.resources.models import Resource, State
from app.resources.traces import Event

_log = structlog.get_logger(__name__)

DAILY: Final = Actor(name=PROGRAM, role=Role.SUPPORT)
# Of a run with more differences the rest is only counted.
MOST_DIFFERENCES: Final = 10_000
# When more than a fifth of our resources seem to be unknown to Heroku, its list is more likely to be wrong than they.
_IMPLAUSIBLE_SHARE: Final = 5
_FEW: Final = 2
# A run says with every page and chunk that it lives; after so long a silence its process has died.
_SILENT: Final = timedelta(minutes=5)
_KEPT_FOR: Final = timedelta(days=90)
_CHUNK: Final = 2_000

_COLUMNS: Final = [getattr(Resource, name) for name in Ours.__dataclass_fields__]


async def ask(context: Context, actor: Actor) -> UUID:
    """A new run, for a worker or for `run`; its id.

    Raises:
        Refused: the actor's role is too low, or another one is under way.
    """
    actor.need(Role.SUPPORT)
    now, id_ = context.clock(), uuid4()
    async with context.database.transaction() as session:
        await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('reconciliation'))"))
        for other in await session.scalars(select(Reconciliation).where(Reconciliation.ended_at.is_(None))):
            if not _is_dead(context, other):
                raise Refused("A reconciliation is under way. Its result will be here shortly.")
            other.ended_at, other.error = now, "It was interrupted before it had come to its end."
        session.add(Reconciliation(id=id_, actor=actor.name, begun_at=now, counts={}))
    return id_


async def run_daily(context: Context) -> None:
    """The run that nobody has to ask for; if one is under way, that one will do."""
    try:
        id_ = await ask(context, DAILY)
    except Refused as refused:
        _log.info("no daily reconciliation", reason=refused.message)
        return
    await run(context, id_)


async def run_asked(context: Context) -> None:
    """The run that an operator has asked for, if there is one."""
    async with context.database.transaction() as session:
        id_ = await session.scalar(
            select(Reconciliation.id).where(Reconciliation.ended_at.is_(None), Reconciliation.alive_at.is_(None))
        )
    if id_ is not None:
        await run(context, id_)


async def run(context: Context, id_: UUID, *, pause: Pause = asyncio.sleep) -> None:
    """Compare, and record what was found, or why that was not possible. Somebody else's run is left to them."""
    async with context.database.transaction() as session:
        is_mine = (Reconciliation.id == id_, Reconciliation.alive_at.is_(None), Reconciliation.ended_at.is_(None))
        claim = update(Reconciliation).where(*is_mine).values(alive_at=context.clock())
        if await session.scalar(claim.returning(Reconciliation.id)) is None:
            return
    try:
        herokus = await _store_list(context, id_, pause)
        await _compare(context, id_, herokus)
    except Refused as refused:
        await _end(context, id_, error=refused.message)
    except Retry as retry:
        await _end(context, id_, error=f"It could not be finished now: {retry}. Please try again later.")
    except Exception:
        await _end(context, id_, error="It failed unexpectedly; the log says how.")
        raise
    await _forget(context)


async def latest(context: Context) -> Reconciliation | None:
    """The newest run that has come to its end."""
    query = select(Reconciliation).where(Reconciliation.ended_at.is_not(None))
    async with context.database.transaction() as session:
        return await session.scalar(query.order_by(Reconciliation.begun_at.desc()).limit(1))


async def under_way(context: Context) -> Reconciliation | None:
    """The run that waits or works, unless its process seems to have died."""
    async with context.database.transaction() as session:
        found = await session.scalar(select(Reconciliation).where(Reconciliation.ended_at.is_(None)))
    return found if found is not None and not _is_dead(context, found) else None


async def history(context: Context, *, before: datetime | None = None, limit: int = 20) -> Sequence[Reconciliation]:
    """The newest runs, or the newest of those begun before a time."""
    query = select(Reconciliation).order_by(Reconciliation.begun_at.desc()).limit(limit)
    if before is not None:
        query = query.where(Reconciliation.begun_at < before)
    async with context.database.transaction() as session:
        return (await session.scalars(query)).all()


async def get(context: Context, id_: UUID) -> Reconciliation | None:
    """One run."""
    async with context.database.transaction() as session:
        return await session.get(Reconciliation, id_)


async def differences(context: Context, id_: UUID, *, after: int = 0, limit: int = 100) -> Sequence[Difference]:
    """What a run has found, in order, after the difference with the id `after`."""
    query = select(Difference).where(Difference.reconciliation_id == id_, Difference.id > after)
    async with context.database.transaction() as session:
        return (await session.scalars(query.order_by(Difference.id).limit(limit))).all()


async def open_differences(context: Context, id_: UUID) -> int:
    """How many differences of a run are not over, also of those that are only counted."""
    over = select(func.count()).where(Difference.reconciliation_id == id_, Difference.repaired_at.is_not(None))
    async with context.database.transaction() as session:
        run_ = await session.get_one(Reconciliation, id_)
        return sum(run_.counts.values()) - int(await session.scalar(over) or 0)


def _is_dead(context: Context, run_: Reconciliation) -> bool:
    return (run_.alive_at or run_.begun_at) <= context.clock() - _SILENT


async def _store_list(context: Context, id_: UUID, pause: Pause) -> int:
    number = 0
    async for page in listed(context, pause=pause):
        async with context.database.transaction() as session:
            for first in range(0, len(page), _CHUNK):
                rows = [
                    {"reconciliation_id": id_, "uuid": one.uuid, "plan": one.plan, "state": one.state}
                    for one in page[first : first + _CHUNK]
                ]
                query = insert_row(ListedInstall).values(rows).on_conflict_do_nothing()
                number += len((await session.scalars(query.returning(ListedInstall.uuid))).all())
            await session.execute(_alive(context, id_, herokus=number))
    return number


async def _compare(context: Context, id_: UUID, herokus: int) -> None:
    since, counts, ours_number = context.clock() - GRACE, Counter[str](), 0
    async for pairs in _pairs(context, id_):
        # Known after all: a tombstone, or one that came while the list was read.
        rows = await _rows(context, [theirs.uuid for ours, theirs in pairs if ours is None and theirs is not None])
        found: list[tuple[UUID, Finding]] = []
        for ours, theirs in pairs:
            if ours is not None:
                ours_number += 1
                both = on_both(context, ours, theirs, since) if theirs is not None else only_here(ours, since)
                found += [(ours.uuid, finding) for finding in both]
            elif theirs is not None:
                found += [(theirs.uuid, finding) for finding in only_there(theirs, rows.get(theirs.uuid), since)]
        found = await _without_late_moves(context, found, since)
        await _keep(context, id_, found[: max(0, MOST_DIFFERENCES - counts.total())], ours_number)
        counts.update(finding.kind for _, finding in found)
    caution = _caution(ours_number, herokus, counts["orphan"])
    await _end(context, id_, counts=dict(counts), caution=caution)


async def _without_late_moves(
    context: Context, found: list[tuple[UUID, Finding]], since: datetime
) -> list[tuple[UUID, Finding]]:
    """The list may be older than a move to another plan."""
    moved = [uuid for uuid, finding in found if finding.kind == "plan"]
    if not moved:
        return found
    kinds = ("plan_changed", "plan_moved", "plan_change_failed")
    query = select(Event.resource_uuid).where(Event.resource_uuid.in_(moved), Event.kind.in_(kinds), Event.at > since)
    async with context.database.transaction() as session:
        late = set(await session.scalars(query))
    return [(uuid, finding) for uuid, finding in found if finding.kind != "plan" or uuid not in late]


async def _keep(context: Context, id_: UUID, found: Sequence[tuple[UUID, Finding]], ours: int) -> None:
    rows = [{"reconciliation_id": id_, "resource_uuid": uuid, **asdict(finding)} for uuid, finding in found]
    async with context.database.transaction() as session:
        if rows:
            await session.execute(insert(Difference), rows)
        await session.execute(_alive(context, id_, ours=ours))


async def _pairs(context: Context, id_: UUID) -> AsyncIterator[list[tuple[Ours | None, Install | None]]]:
    """Every living resource and every listed one, side by side in the order of their uuids, some thousand at a time."""
    after: UUID | None = None
    while True:
        async with context.database.transaction() as session:
            here = select(*_COLUMNS).where(Resource.state != State.DEPROVISIONED)
            there = select(ListedInstall).where(ListedInstall.reconciliation_id == id_)
            if after is not None:
                here, there = here.where(Resource.uuid > after), there.where(ListedInstall.uuid > after)
            rows = (await session.execute(here.order_by(Resource.uuid).limit(_CHUNK))).mappings()
            ours = {row["uuid"]: Ours(**row) for row in rows}
            installs = (await session.scalars(there.order_by(ListedInstall.uuid).limit(_CHUNK))).all()
            theirs = {one.uuid: Install(one.uuid, one.plan, one.state) for one in installs}
        # As far as both sides have been read: a side that was cut off may hold what comes after its last row.
        ends = [max(side) for side in (ours, theirs) if len(side) == _CHUNK]
        after = min(ends) if ends else None
        uuids = sorted(uuid for uuid in ours.keys() | theirs.keys() if after is None or uuid <= after)
        yield [(ours.get(uuid), theirs.get(uuid)) for uuid in uuids]
        if after is None:
            return


async def _rows(context: Context, uuids: Sequence[UUID]) -> dict[UUID, Ours]:
    if not uuids:
        return {}
    async with context.database.transaction() as session:
        rows = (await session.execute(select(*_COLUMNS).where(Resource.uuid.in_(uuids)))).mappings()
        return {row["uuid"]: Ours(**row) for row in rows}


def _caution(ours: int, herokus: int, orphans: int) -> str | None:
    """Why the numbers are not believed, if they are not."""
    if herokus == 0 and ours:
        what = f"Heroku's list is empty, and {ours:,} live here"
    elif orphans > _FEW and orphans * _IMPLAUSIBLE_SHARE > ours:
        what = f"{orphans:,} of the {ours:,} that live here are missing from Heroku's list"
    else:
        return None
    return (
        f"{what}. That is hardly true: the list is more likely to be incomplete, so no repair is proposed. Compare "
        "again later. What Heroku really has no more can be deprovisioned on the page of the resource."
    )


async def _end(
    context: Context,
    id_: UUID,
    *,
    counts: dict[str, int] | None = None,
    caution: str | None = None,
    error: str | None = None,
) -> None:
    values = {"ended_at": context.clock(), "counts": counts or {}, "caution": caution, "error": error}
    async with context.database.transaction() as session:
        if caution or error:
            await session.execute(update(Difference).where(Difference.reconciliation_id == id_).values(repair=None))
        await session.execute(update(Reconciliation).where(Reconciliation.id == id_).values(values))


def _alive(context: Context, id_: UUID, **numbers: int) -> Update:
    return update(Reconciliation).where(Reconciliation.id == id_).values(alive_at=context.clock(), **numbers)


async def _forget(context: Context) -> None:
    """Remove the stored lists of runs that are over, and runs of which nobody will ask any more."""
    is_over = select(Reconciliation.id).where(Reconciliation.ended_at.is_not(None))
    old = select(Reconciliation.id).where(Reconciliation.begun_at < context.clock() - _KEPT_FOR)
    await _delete_some(context, ListedInstall.uuid, ListedInstall.reconciliation_id.in_(is_over))
    await _delete_some(context, Difference.id, Difference.reconciliation_id.in_(old))
    async with context.database.transaction() as session:
        await session.execute(delete(Reconciliation).where(Reconciliation.id.in_(old)))


async def _delete_some(context: Context, key: InstrumentedAttribute[Any], condition: ColumnElement[bool]) -> None:
    """A little at a time, so that no statement takes long."""
    deleted = 1
    while deleted:
        some = select(key).where(condition).limit(5 * _CHUNK).scalar_subquery()
        async with context.database.transaction() as session:
            result = await session.execute(delete(key.class_).where(condition, key.in_(some)))
            deleted = result.rowcount  # type: ignore[attr-defined]  # a DELETE's result is a CursorResult
