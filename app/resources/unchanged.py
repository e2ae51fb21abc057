"""Changes of a row that is as it was read: one statement, instead of a transaction that locks and reads it once more.

The rules are those that change a locked row: here they change the one that was read. Postgres writes that only if
nobody has changed the row since, which `xmin` tells, the transaction that made this version of it:
https://www.postgresql.org/docs/current/ddl-system-columns.html. Otherwise it goes the long way. That is for the few
jobs that many resources need at once.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Text, bindparam, cast, insert, inspect, literal_column, select, update
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from app.context import Context
from app.errors import Gone
from app.resources.lifecycle import locked
from app.resources.models import Resource
from app.resources.traces import Event

Rule = Callable[[AsyncSession, Resource], Awaitable[None]]

_ROW: Final = Resource.metadata.tables[Resource.__tablename__]
_LINE: Final = Event.metadata.tables[Event.__tablename__]
_XMIN: Final = cast(literal_column("resources.xmin"), Text)
_LOOK: Final = select(Resource, _XMIN).where(Resource.uuid == bindparam("uuid"))


@dataclass(slots=True)
class Seen:
    """A resource as it was read. Without a `version` it was read in a transaction that has ended since."""

    resource: Resource
    version: str | None = None


async def look(context: Context, uuid: UUID) -> Seen:
    """The resource as it is now.

    Raises:
        Gone: there never was one, or it has been deprovisioned.
    """
    async with context.database.singly() as session:
        found = (await session.execute(_LOOK, {"uuid": uuid})).one_or_none()
    if found is None or found[0].is_gone:
        raise Gone
    return Seen(*found)


async def change(context: Context, seen: Seen, rule: Rule) -> Seen:
    """Apply a rule to a resource, and have it as it is then. The rule may be applied twice, the second time to another.

    Raises:
        Gone, Retry: as everywhere; and what the rule raises.
    """
    if seen.version is not None:
        # Nothing stands behind this session: a rule that wants more than a line of history goes the long way.
        notes = AsyncSession()
        try:
            await rule(notes, seen.resource)
        except UnboundExecutionError:
            added: list[Any] = []
        else:
            added = list(notes.new)
            notes.expunge_all()
        if len(added) == 1 and isinstance(added[0], Event):
            version = await _write(context, seen, added[0])
            if version is not None:
                return Seen(seen.resource, version)
    async with context.database.transaction() as session:
        resource = await locked(session, seen.resource.uuid)
        await rule(session, resource)
    return Seen(resource)


async def _write(context: Context, seen: Seen, event: Event) -> str | None:
    """The new version of the row; None if it is another by now, and nothing was written."""
    row, told = seen.resource, inspect(event).dict
    unmodified = inspect(row).unmodified
    values = {column.key: getattr(row, column.key) for column in _ROW.c if column.key not in unmodified}
    line = {column.key: told[column.key] for column in _LINE.c if column.key in told}
    given = {f"row_{name}": value for name, value in values.items()}
    given |= {f"line_{name}": value for name, value in line.items()}
    given = {name: Jsonb(value) if isinstance(value, dict | list) else value for name, value in given.items()}
    statement = _statement(tuple(values), tuple(line))
    async with context.database.statements() as connection:
        cursor = await connection.execute(statement, given | {"uuid_": row.uuid, "version_": seen.version})
        written = await cursor.fetchone()
    if written is None:
        return None
    for name, value in values.items():
        set_committed_value(row, name, value)
    return str(written[0])


@cache
def _statement(changed: tuple[str, ...], told: tuple[str, ...]) -> str:
    """For these columns of the row and of the line of history. To put it together takes longer than to run it."""
    row = (
        update(_ROW)
        .where(_ROW.c.uuid == bindparam("uuid_"), _XMIN.is_not_distinct_from(bindparam("version_")))
        .values({name: bindparam(f"row_{name}") for name in changed})
        .returning(_XMIN.label("version"))
        .cte("row")
    )
    line = [bindparam(f"line_{name}", type_=_LINE.c[name].type) for name in told]
    added = insert(_LINE).from_select(told, select(*line).select_from(row)).cte("added")
    dialect = psycopg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects have no types
    return str(select(row.c.version).add_cte(added).compile(dialect=dialect))
