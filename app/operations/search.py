"""Find resources among a million: newest first, page by page, in a bounded time whatever the words are.

A word may match everything, nothing, or only what is old, and the database's guess about that may be wrong. So a page
is looked for in up to three ways, each of which is cheap exactly when the one before it was not enough:

1. Walk: of the newest `_WALK` resources, those that match. Words that match often fill a page with that.
2. Index: everything that matches, found by the indexes and then sorted, unless it is more than `_HITS`.
3. What is frequent but not among the newest: walk on, until the time-out.

A plan, region or state in the query is walked along its own index, so that step 1 is enough even for a plan that nobody
has bought for years. `docs/performance.md` has the measurements.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg.errors import QueryCanceled
from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, text, true, tuple_, union_all
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused
from app.operations.search_words import Query, Word, hex_digits, parse, uuid_range
from app.resources.models import Resource, State

__all__ = ["Found", "Key", "Page", "Query", "iterate", "parse", "search", "sole_uuid"]

PAGE: Final = 50
_CHUNK: Final = 500
_TIMEOUT: Final = timedelta(seconds=2)
_WALK: Final = 4000
_HITS: Final = 20_000
RECENTLY: Final = timedelta(days=7)

_TEXT_COLUMNS: Final = {
    "name": Resource.name,
    "app": Resource.app_name,
    "owner": Resource.owner_email,
    "error": Resource.last_error,
}
# Columns with few values; each is the beginning of an index that goes on with the key.
_CHOICES: Final = {"plan": Resource.plan, "region": Resource.region, "state": Resource.state}
_NEWEST_FIRST: Final = (Resource.created_at.desc(), Resource.uuid.desc())
_OLDEST_FIRST: Final = (Resource.created_at, Resource.uuid)
_KEY_TEXT: Final = re.compile(r"(\d{1,17})-([0-9a-f]{32})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Key:
    """A place in the order of resources. As text it can be in an address."""

    created_at: datetime
    uuid: UUID

    def __str__(self) -> str:
        return f"{(self.created_at - _EPOCH) // timedelta(microseconds=1)}-{self.uuid.hex}"

    @staticmethod
    def read(text: str) -> "Key":
        """The key that was written so.

        Raises:
            Refused: it was not written by us.
        """
        found = _KEY_TEXT.fullmatch(text)
        try:
            if found is None:
                raise ValueError(text)  # noqa: TRY301 - the same sentence for every way to be no key
            return Key(_EPOCH + timedelta(microseconds=int(found[1])), UUID(found[2]))
        except (ValueError, OverflowError):
            raise Refused(
                "The address of this page of the list is incomplete. Here is the list from its top."
            ) from None


@dataclass(frozen=True, slots=True)
class Found:
    """What a list tells of a resource; nothing in it is secret."""

    uuid: UUID
    name: str
    app_name: str | None
    owner_email: str | None
    plan: str
    state: State
    region: str
    created_at: datetime
    deprovisioned_at: datetime | None
    failures: int
    last_error: str | None
    last_error_at: datetime | None
    tokens_refused_at: datetime | None
    unknown_to_heroku_at: datetime | None
    suspended_at: datetime | None
    over_quota_at: datetime | None
    read_only_at: datetime | None
    kept_until: datetime | None
    config_version: int
    pushed_version: int

    @property
    def key(self) -> Key:
        """Its place in the list."""
        return Key(self.created_at, self.uuid)

    def trouble(self, now: datetime) -> str | None:
        """What is wrong, in a word or two; None if nothing is."""
        is_gone = self.state is State.DEPROVISIONED
        words = {
            "failing": self.failures > 0,
            "kept": is_gone and self.kept_until is not None,
            "unknown to Heroku": not is_gone and self.unknown_to_heroku_at is not None,
            "token refused": not is_gone and self.tokens_refused_at is not None,
            "suspended": not is_gone and self.suspended_at is not None,
            "read-only": not is_gone and self.read_only_at is not None,
            "over quota": not is_gone and self.over_quota_at is not None,
            "error": not is_gone and self.last_error_at is not None and self.last_error_at > now - RECENTLY,
            "push waits": self.state is State.PROVISIONED and self.config_version > self.pushed_version,
        }
        return next((word for word, is_so in words.items() if is_so), None)


_COLUMNS: Final = tuple(getattr(Resource, name) for name in Found.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first.

    Attributes:
        rows: what was found.
        newer: search `after` this for the page before; None if this is the first.
        older: search `before` this for the next page; None if this is the last.
    """

    rows: Sequence[Found]
    newer: Key | None
    older: Key | None


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
            await session.execute(
                select(func.set_config("statement_timeout", f"{_TIMEOUT.total_seconds():.0f}s", True))
            )
            plan = await _planned(session, query, context.clock())
            rows = None if plan is None else await _look(session, plan, before=before, after=after, limit=limit + 1)
        except OperationalError as error:
            if isinstance(error.orig, QueryCanceled):
                raise Refused("This search takes too long. Add a plan, a state or a month to narrow it.") from None
            raise
    rows = rows or []
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


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to look: along one index for each of `paths`, for what satisfies `filters`; `created` bounds both."""

    paths: Sequence[ColumnElement[bool]]
    filters: Sequence[ColumnElement[bool]]
    created: ColumnElement[bool]


async def _planned(session: AsyncSession, query: Query, now: datetime) -> _Plan | None:
    """None if a word asks for a plan, region or state that no resource has."""
    values = await _values(session, query.words)
    paths: Sequence[ColumnElement[bool]] = ()
    filters: list[ColumnElement[bool]] = []
    for word in query.words:
        if word.key in _CHOICES:
            wanted = _chosen(values[word.key], word.value)
            if not wanted:
                return None
            column = _CHOICES[word.key]
            if paths:
                filters.append(column.in_(wanted))
            else:
                paths = [column == value for value in wanted]
        else:
            filters.append(_condition(word, values, now))
    created = and_(
        true(),
        *([Resource.created_at >= query.created_from] if query.created_from else []),
        *([Resource.created_at < query.created_before] if query.created_before else []),
    )
    return _Plan(paths or (true(),), filters, created)


async def _values(session: AsyncSession, words: Sequence[Word]) -> dict[str, list[Any]]:
    """What there is to choose from in the columns with few values that the words may mean."""
    values: dict[str, list[Any]] = {"state": list(State)}
    for name in ("plan", "region"):
        if any(word.key in {"", name} for word in words):
            values[name] = list(await session.scalars(_DISTINCT[name]))
    return values


# One probe of the index for each value, rather than a look at every row.
_DISTINCT: Final = {
    name: text(f"""
        WITH RECURSIVE value (v) AS (
            (SELECT {name} FROM resources ORDER BY {name} LIMIT 1)
            UNION ALL
            SELECT (SELECT {name} FROM resources WHERE {name} > v ORDER BY {name} LIMIT 1)
            FROM value WHERE v IS NOT NULL
        )
        SELECT v FROM value WHERE v IS NOT NULL LIMIT 500
    """)  # noqa: S608 - two fixed names
    for name in ("plan", "region")
}


def _chosen(values: Sequence[Any], wanted: str) -> list[Any]:
    """The value that is exactly so, else those that contain it."""
    wanted = wanted.lower()
    return [value for value in values if value.lower() == wanted] or [v for v in values if wanted in v.lower()]


def _condition(word: Word, values: dict[str, list[Any]], now: datetime) -> ColumnElement[bool]:
    match word.key:
        case "is":
            return _is(word.value, now)
        case "uuid":
            return Resource.uuid.between(*uuid_range(hex_digits(word.value, shortest=1) or ""))
        case "":
            fields = [_contains(column, word.value) for column in _TEXT_COLUMNS.values()]
            for name, column in _CHOICES.items():
                if wanted := [value for value in values[name] if word.value.lower() in value.lower()]:
                    fields.append(column.in_(wanted))
            if digits := hex_digits(word.value):
                fields.append(Resource.uuid.between(*uuid_range(digits)))
            return or_(*fields)
        case name:
            return _contains(_TEXT_COLUMNS[name], word.value)


def _contains(column: Any, word: str) -> ColumnElement[bool]:
    """Trigrams know nothing shorter than three letters inside a text; such a word must begin it."""
    escaped = re.sub(r"([\\%_])", r"\\\1", word)
    condition: ColumnElement[bool] = column.ilike(f"{escaped}%" if len(word) < 3 else f"%{escaped}%")
    return condition


def _is(condition: str, now: datetime) -> ColumnElement[bool]:
    """Each is the condition of a partial index, so that what is rare is found at once."""
    is_here = Resource.state != State.DEPROVISIONED
    simple: dict[str, ColumnElement[bool]] = {
        "failing": Resource.failures > 0,
        "error": Resource.last_error_at.is_not(None),
        "suspended": Resource.suspended_at.is_not(None),
        "waiting-push": and_(Resource.config_version > Resource.pushed_version, Resource.state == State.PROVISIONED),
        "token-refused": and_(Resource.tokens_refused_at.is_not(None), is_here),
        "unknown-to-heroku": and_(Resource.unknown_to_heroku_at.is_not(None), is_here),
        "rotating": or_(
            Resource.rotation_requested_at.is_not(None),
            Resource.rotated_at.is_not(None),
            Resource.retire_at.is_not(None),
        ),
        "over-quota": and_(Resource.over_quota_at.is_not(None), is_here),
        "read-only": and_(Resource.read_only_at.is_not(None), is_here),
        "kept": Resource.kept_until.is_not(None),
    }
    if condition != "attention":
        return simple[condition]
    recent_error = and_(Resource.last_error_at > now - RECENTLY, is_here)
    return or_(
        *(simple[name] for name in ("failing", "token-refused", "unknown-to-heroku", "over-quota", "read-only")),
        recent_error,
    )


async def _look(
    session: AsyncSession, plan: _Plan, *, before: Key | None, after: Key | None, limit: int
) -> list[Found]:
    """The three ways, in turn. In the order of looking: with `after`, the oldest comes first."""
    bounds = [plan.created]
    key = tuple_(Resource.created_at, Resource.uuid)
    if before is not None:
        bounds.append(key < tuple_(literal(before.created_at), literal(before.uuid)))
    if after is not None:
        bounds.append(key > tuple_(literal(after.created_at), literal(after.uuid)))
    order = _OLDEST_FIRST if after is not None else _NEWEST_FIRST
    # A query that is nothing but a path is answered by the walk alone, wherever that ends.
    rows = await _rows(session, _walk(plan, bounds, order, limit, longest=_WALK if plan.filters else None))
    if len(rows) == limit or not plan.filters:
        return rows
    await session.execute(_BY_INDEX)
    hits = select(Resource.created_at, Resource.uuid).where(*bounds, or_(*plan.paths), *plan.filters).limit(_HITS + 1)
    cte = hits.cte("hits").prefix_with("MATERIALIZED", dialect="postgresql")
    number = select(func.count()).select_from(cte).scalar_subquery()
    ordered = [column.desc() if after is None else column for column in (cte.c.created_at, cte.c.uuid)]
    found = (await session.execute(select(cte.c.uuid, number).order_by(*ordered).limit(limit))).all()
    if found and found[0][1] > _HITS:
        await session.execute(_IN_ORDER)
        return await _rows(session, _walk(plan, bounds, order, limit, longest=None))
    return await _rows(
        session, select(*_COLUMNS).where(Resource.uuid.in_([uuid for uuid, _ in found])).order_by(*order)
    )


_BY_INDEX: Final = text("SELECT set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true)")
_IN_ORDER: Final = text(
    "SELECT set_config('enable_indexscan', 'on', true), set_config('enable_bitmapscan', 'off', true)"
)


def _walk(
    plan: _Plan, bounds: Sequence[ColumnElement[bool]], order: Sequence[Any], limit: int, *, longest: int | None
) -> Select[Any]:
    """Along the paths, all together in order, for at most `longest` rows: those that pass the filters."""
    passes = and_(true(), *plan.filters).label("passes")
    paths = [select(*_COLUMNS, passes).where(path, *bounds) for path in plan.paths]
    if len(paths) == 1:
        walked = paths[0].order_by(*order).limit(longest).subquery()
    else:
        merged = union_all(*paths).subquery()
        columns = [merged.c.created_at, merged.c.uuid]
        in_order = columns if order is _OLDEST_FIRST else [column.desc() for column in columns]
        walked = select(merged).order_by(*in_order).limit(longest).subquery()
    columns = [walked.c.created_at, walked.c.uuid]
    in_order = columns if order is _OLDEST_FIRST else [column.desc() for column in columns]
    shown = [walked.c[column.key] for column in _COLUMNS]
    return select(*shown).where(walked.c.passes).order_by(*in_order).limit(limit)


async def _rows(session: AsyncSession, query: Select[Any]) -> list[Found]:
    return [Found(*row) for row in await session.execute(query)]
