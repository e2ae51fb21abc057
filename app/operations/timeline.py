"""All that happened to one resource on one line of time: events, sign-ins, exchanges with Heroku, its webhooks."""

import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused
from app.resources.traces import Event, Exchange, SignIn, WebhookEvent

PAGE: Final = 50
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KEY: Final = re.compile(r"(\d{1,17})-([0-3])-(\d{1,18}|[0-9a-f-]{36})")
# Told by the sign-ins themselves.
_TOLD_TWICE: Final = ("signed_in",)


class Show(StrEnum):
    """Which lines."""

    ALL = "all"
    EVENTS = "events"
    OPERATORS = "operators"
    SIGN_INS = "sign-ins"
    EXCHANGES = "exchanges"
    WEBHOOKS = "webhooks"


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `kind` says which of the four it is; lines of one moment are in the order of the kinds."""

    at: datetime
    kind: int
    row: Event | SignIn | Exchange | WebhookEvent

    @property
    def key(self) -> str:
        """Its place, fit for an address."""
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}-{self.kind}-{self.row.id}"


@dataclass(frozen=True, slots=True)
class _Place:
    at: datetime
    kind: int
    id: int | UUID


async def timeline(
    context: Context, uuid: UUID, *, show: Show = Show.ALL, before: str = "", limit: int = PAGE
) -> tuple[Sequence[Line], str | None]:
    """Lines, newest first, and the key for the ones before them, if there are any.

    Args:
        context: as everywhere.
        uuid: of the resource.
        show: which lines.
        before: the key of the line after which to go on; empty for the newest.
        limit: how many.

    Raises:
        Refused: the key is none.
    """
    place = _read(before) if before else None
    lines: list[Line] = []
    async with context.database.transaction() as session:
        for kind, query in enumerate(_queries(uuid, show)):
            if query is not None:
                lines += await _lines(session, kind, query, place, limit + 1)
    newest = heapq.nsmallest(limit + 1, lines, key=lambda line: (_EPOCH - line.at, line.kind))
    return newest[:limit], newest[limit - 1].key if len(newest) > limit else None


def _queries(uuid: UUID, show: Show) -> tuple[Select[Any] | None, ...]:
    events = select(Event).where(Event.resource_uuid == uuid, Event.kind.not_in(_TOLD_TWICE))
    if show is Show.OPERATORS:
        events = events.where(or_(Event.operator_id.is_not(None), Event.reason.is_not(None)))
    # A visit of support is told by its event, which knows the reason.
    sign_ins = select(SignIn).where(SignIn.resource_uuid == uuid, SignIn.support_operator.is_(None))
    exchanges = select(Exchange).where(Exchange.resource_uuid == uuid)
    webhooks = select(WebhookEvent).where(WebhookEvent.resource_uuid == uuid)
    return (
        events if show in {Show.ALL, Show.EVENTS, Show.OPERATORS} else None,
        sign_ins if show in {Show.ALL, Show.SIGN_INS} else None,
        exchanges if show in {Show.ALL, Show.EXCHANGES} else None,
        webhooks if show in {Show.ALL, Show.WEBHOOKS} else None,
    )


async def _lines(
    session: AsyncSession, kind: int, query: Select[Any], place: _Place | None, limit: int
) -> Sequence[Line]:
    table: Any = (Event, SignIn, Exchange, WebhookEvent)[kind]
    if place is not None:
        query = query.where(_is_before(table, kind, place))
    rows = await session.scalars(query.order_by(table.at.desc(), table.id.desc()).limit(limit))
    return [Line(row.at, kind, row) for row in rows]


def _is_before(table: Any, kind: int, place: _Place) -> ColumnElement[bool]:
    if kind < place.kind:
        is_before: ColumnElement[bool] = table.at < place.at
    elif kind > place.kind:
        is_before = table.at <= place.at
    else:
        is_before = or_(table.at < place.at, and_(table.at == place.at, table.id < place.id))
    return is_before


def _read(key: str) -> _Place:
    try:
        at, kind, id_ = _KEY.fullmatch(key).groups()  # type: ignore[union-attr]  # None has no groups, as is caught below
        moment = _EPOCH + timedelta(microseconds=int(at))
        return _Place(moment, int(kind), UUID(id_) if kind == "1" else int(id_))
    except (AttributeError, ValueError):
        raise Refused("This link to older lines is damaged. Begin with the newest again.") from None
