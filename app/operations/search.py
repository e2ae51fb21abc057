"""Find resources among a million: newest first, page by page, in a bounded time whatever the words are.

A word may match everything, nothing, or only what is old, and the database's guess about that may be wrong. So a page
is looked for in up to three steps, each of which is cheap exactly when the one before it was not enough:

1. Walk: of the newest few thousand resources, those that match. Words that match often fill a page with that; where the
   first of them show that it would not, the walk ends there.
2. Index: everything that matches, found by the indexes and then sorted, unless it is more than `_HITS`.
3. What is frequent but not among the newest: walk on, until the time-out.

A plan, region or state in the query is walked along its own index, so that the first step is enough even for a plan
that nobody has bought for years. `docs/performance.md` has the measurements.
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg.errors import QueryCanceled
from sqlalchemy import ColumnElement, and_, func, literal, select, true, tuple_
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused
from app.operations.found import Found, Key, Page
from app.operations.search_conditions import Way, ways
from app.operations.search_words import Query, parse
from app.resources.models import Resource

__all__ = ["Found", "Key", "Page", "Query", "iterate", "parse", "search", "sole_uuid"]

PAGE: Final = 50
_CHUNK: Final = 500
_TIMEOUT: Final = timedelta(seconds=2)
_WALK: Final = 8000
_WALK_ALONG_PATH: Final = 2000  # whose rows lie scattered
_SAMPLE: Final = 8  # of a walk, the part that tells whether the whole would fill a page
_HITS: Final = 20_000

_COLUMNS: Final = tuple(getattr(Resource, name) for name in Found.__dataclass_fields__)
_OLDEST: Final = Key(datetime.min.replace(tzinfo=UTC), UUID(int=0))
_NEWEST: Final = Key(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
# Which of its means the database may use: the guess that none of them is sound without is not made here.
_ALONG_INDEX: Final = {
    "enable_indexscan": "on",
    "enable_bitmapscan": "off",
    "enable_seqscan": "off",
    "enable_sort": "off",
}
# The most that a search reads is in memory; priced as from a disk, pages would be saved by reading whole indexes.
_BY_BITMAP: Final = {
    "enable_indexscan": "off",
    "enable_bitmapscan": "on",
    "enable_seqscan": "off",
    "enable_sort": "on",
    "seq_page_cost": "0.1",
    "random_page_cost": "0.2",
}


async def search(
    context: Context, query: Query, *, before: Key | None = None, after: Key | None = None, limit: int = PAGE
) -> Page:
    """A page of what `parse` understood.

    Args:
        context: the database and the clock.
        query: what is looked for.
        before: only what is older than this.
        after: only what is newer than this; the page that ends there. Not together with `before`.
        limit: how many at most.

    Raises:
        Refused: it took too long, in spite of everything.
        Retry: the database is not available.
    """
    async with context.database.transaction() as session:
        try:
            rows = await _find(_Look(session, query, before, after, limit + 1), query, context.clock())
        except OperationalError as error:
            if isinstance(error.orig, QueryCanceled):
                raise Refused("This search takes too long. Add a plan, a state or a month to narrow it.") from None
            raise
    has_more, rows = len(rows) > limit, rows[:limit]
    if after is not None:
        rows.reverse()
        is_first, is_last = not has_more, False
    else:
        is_first, is_last = before is None, not has_more
    return Page(
        rows=rows,
        newer=None if is_first or not rows else rows[0].key,
        older=None if is_last or not rows else rows[-1].key,
    )


async def iterate(context: Context, query: Query) -> AsyncIterator[Sequence[Found]]:
    """Everything that is found, newest first, in chunks with a transaction each.

    What is provisioned meanwhile is not in it; every other resource is in it once at most.
    """
    before: Key | None = None
    while True:
        page = await search(context, query, before=before, limit=_CHUNK)
        if page.rows:
            yield page.rows
        if page.older is None:
            return
        before = page.older


def sole_uuid(query: Query, page: Page) -> UUID | None:
    """The one resource that was meant: the query is a uuid or its beginning, and found nothing else."""
    digits = query.uuid_beginning
    if digits is None or len(page.rows) != 1 or page.older or page.newer:
        return None
    uuid = page.rows[0].uuid
    return uuid if uuid.hex.startswith(digits) else None


class _Look:
    """A look at a part of the order, whose ends do not belong to it, until `limit` rows are found or time is up."""

    def __init__(self, session: AsyncSession, query: Query, before: Key | None, after: Key | None, limit: int) -> None:
        self.session = session
        self.high = min(before or _NEWEST, Key(query.created_before, _OLDEST.uuid) if query.created_before else _NEWEST)
        begin = query.created_from and query.created_from - timedelta(microseconds=1)
        self.low = max(after or _OLDEST, Key(begin, _NEWEST.uuid) if begin else _OLDEST)
        self.is_newest_first = after is None
        self.limit = limit
        self._give_up_at = time.monotonic() + _TIMEOUT.total_seconds()

    async def allow(self, means: Mapping[str, str]) -> None:
        """Until the next call the database uses these means only, and has what is left of the time."""
        milliseconds = max(round((self._give_up_at - time.monotonic()) * 1000), 1)
        # A plan made once for all words would be one for words that match half of everything.
        plan_for_these = {"plan_cache_mode": "force_custom_plan"}
        settings = {**means, **plan_for_these, "statement_timeout": f"{milliseconds}ms"}
        await self.session.execute(select(*(func.set_config(name, value, True) for name, value in settings.items())))

    def in_order(self, columns: Sequence[Any]) -> list[Any]:
        """What to sort by, to meet the rows in the order of looking."""
        return [column.desc() if self.is_newest_first else column for column in columns]


async def _find(look: _Look, query: Query, now: datetime) -> list[Found]:
    """In the order of looking."""
    await look.allow({})
    to_go = await ways(look.session, query, now)
    if to_go.together is not None:
        rows = await _walk_while_it_pays(look, to_go.together, longest=_WALK)
        if len(rows) == look.limit:
            return rows
    found: dict[UUID, Found] = {}
    for way in to_go.single:
        found |= {row.uuid: row for row in await _go(look, way)}
    return sorted(found.values(), key=lambda row: row.key, reverse=look.is_newest_first)[: look.limit]


async def _go(look: _Look, way: Way) -> Sequence[Found]:
    """The three steps."""
    if not way.filters:  # walked to its end: it passes nothing by
        return await _walk(look, way, longest=None)
    rows = await _walk_while_it_pays(look, way, longest=_WALK_ALONG_PATH if way.path else _WALK)
    if len(rows) == look.limit:
        return rows
    hits = await _hits(look, way)
    return await _walk(look, way, longest=None) if hits is None else hits


async def _walk_while_it_pays(look: _Look, way: Way, *, longest: int) -> list[Found]:
    """Fewer than a page are not all there are: the index is to be asked."""
    rows = await _walk(look, way, longest=longest // _SAMPLE)
    if len(rows) == look.limit or len(rows) * _SAMPLE < look.limit:
        return rows
    return await _walk(look, way, longest=longest)


async def _walk(look: _Look, way: Way, *, longest: int | None) -> list[Found]:
    """Along the index, for at most `longest` rows: those that pass the filters."""
    await look.allow(_ALONG_INDEX)
    passes = and_(true(), *way.filters)
    columns = [*([way.path[0]] if way.path else []), Resource.created_at, Resource.uuid]
    query = select(*_COLUMNS).where(*_within(look, way)).order_by(*look.in_order(columns))
    if longest is None:
        query = query.where(passes).limit(look.limit)
    else:
        walked = query.add_columns(passes.label("passes")).limit(longest).subquery()
        query = select(*(walked.c[column.key] for column in _COLUMNS)).where(walked.c.passes).limit(look.limit)
    return [Found(*row) for row in await look.session.execute(query)]


def _within(look: _Look, way: Way) -> list[ColumnElement[bool]]:
    """The ends of the look in the index of a way. As ends and not as `plan = :plan`, they leave no other index to
    choose: the one of all rows in order looks better for a frequent plan, and is not if that is frequent among the old.
    """
    path = [way.path] if way.path else []
    columns = tuple_(*(column for column, _ in path), Resource.created_at, Resource.uuid)

    def end(key: Key) -> Any:
        values = [literal(value, column.type) for column, value in path]
        return tuple_(*values, literal(key.created_at), literal(key.uuid))

    return [columns > end(look.low), columns < end(look.high)]


async def _hits(look: _Look, way: Way) -> list[Found] | None:
    """All that the indexes find, sorted; None if it is too much for that."""
    await look.allow(_BY_BITMAP)
    path = [way.path[0] == way.path[1]] if way.path else []
    some = select(Resource.created_at, Resource.uuid).where(*path, *way.filters, *_within(look, Way(None, ())))
    hits = some.limit(_HITS + 1).cte("hits").prefix_with("MATERIALIZED", dialect="postgresql")
    number = select(func.count()).select_from(hits).scalar_subquery()
    order = look.in_order([hits.c.created_at, hits.c.uuid])
    first = (await look.session.execute(select(hits.c.uuid, number).order_by(*order).limit(look.limit))).all()
    if first and first[0][1] > _HITS:
        return None
    if not first:
        return []
    rows = await look.session.execute(select(*_COLUMNS).where(Resource.uuid.in_([uuid for uuid, _ in first])))
    return [Found(*row) for row in rows]
