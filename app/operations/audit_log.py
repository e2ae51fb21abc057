"""Reading the audit log: page by page, newest first, or all of it with the chain's digests for an auditor."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, select, text, tuple_
from sqlalchemy.orm import aliased

from app.context import Context
from app.errors import Refused
from app.operations.audit_chain import EVENT_COLUMNS, NOTHING, Head, find_head, link_events, plain
from app.operations.audit_verification import BROKEN, VERIFIED, count_waiting
from app.operations.models import AuditLink
from app.operators.roles import Actor, Role
from app.resources.models import Resource
from app.resources.traces import Event

PAGE: Final = 50
_AT_ONCE: Final = 2000
# Heroku's router wants to see the begin of an answer within thirty seconds.
_PATIENCE: Final = timedelta(seconds=15)
_KEY: Final = re.compile(r"(\d{1,17})-(\d{1,18})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EXPORTED: Final = ("position", "linked_at", "previous", "digest", *(column.name for column in EVENT_COLUMNS))

Format = Literal["jsonl", "csv"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which events; what is None does not matter. `since` is the first moment, `until` the first one too late."""

    operator_id: UUID | None = None
    actor: str | None = None
    kind: str | None = None
    resource: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """All of which must be true."""
        wanted = {
            Event.operator_id: self.operator_id,
            Event.actor: self.actor,
            Event.kind: self.kind,
            Event.resource_uuid: self.resource,
        }
        conditions = [column == value for column, value in wanted.items() if value is not None]
        if self.since is not None:
            conditions.append(Event.at >= self.since)
        if self.until is not None:
            conditions.append(Event.at < self.until)
        return conditions


def read_filter(words: Mapping[str, str], zone: ZoneInfo) -> Filter:
    """What somebody typed: `operator`, `actor`, `kind`, `resource`, `since`, `until`; empty ones do not matter.

    Raises:
        Refused: one of them cannot be understood.
    """
    given = {name: word.strip() for name, word in words.items() if word.strip()}
    if not all(word.isprintable() for word in given.values()):
        raise Refused("There is a character in it that cannot be searched for.")
    found = Filter(
        operator_id=_read_uuid(given.get("operator"), "An operator's id is a uuid."),
        actor=given.get("actor"),
        kind=given.get("kind"),
        resource=_read_uuid(given.get("resource"), "A resource is named by its whole uuid here."),
        since=read_time(given["since"], zone) if "since" in given else None,
        until=read_time(given["until"], zone, is_end=True) if "until" in given else None,
    )
    if found.since is not None and found.until is not None and found.since >= found.until:
        raise Refused("The period ends before it begins.")
    return found


def _read_uuid(word: str | None, otherwise: str) -> UUID | None:
    try:
        return None if word is None else UUID(word)
    except ValueError:
        raise Refused(otherwise) from None


def read_time(word: str, zone: ZoneInfo, *, is_end: bool = False) -> datetime:
    """A day or a time, in `zone` unless it says otherwise; a day that is an end is over at midnight.

    Raises:
        Refused: it is neither.
    """
    try:
        at = datetime.fromisoformat(word)
        if is_end and re.fullmatch(r"[\d-]+", word):
            at += timedelta(days=1)
        return (at if at.tzinfo is not None else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused("Write a day as 2026-11-30 or a time as 2026-11-30T14:00.") from None


@dataclass(frozen=True, slots=True)
class Key:
    """A place in the log. As text it can be in an address."""

    at: datetime
    id: int

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}-{self.id}"

    @staticmethod
    def read(written: str) -> "Key":
        """The key that was written so.

        Raises:
            Refused: it was not written by us.
        """
        try:
            at, id_ = _KEY.fullmatch(written).groups()  # type: ignore[union-attr]  # no match is a key of somebody else
            return Key(_EPOCH + timedelta(microseconds=int(at)), int(id_))
        except (AttributeError, OverflowError):
            raise Refused("The address of this page of the log is incomplete. Here is its newest page.") from None


@dataclass(frozen=True, slots=True)
class Page:
    """Events, newest first, the names of their resources, and where the pages before and after begin, if there are."""

    events: Sequence[Event]
    names: Mapping[UUID, str]
    newer: Key | None
    older: Key | None


async def page(
    context: Context, wanted: Filter, *, before: Key | None = None, after: Key | None = None, limit: int = PAGE
) -> Page:
    """The newest events, or those older than `before`, or the ones right after `after`."""
    key = tuple_(Event.at, Event.id)
    query = select(Event).where(*wanted.conditions).limit(limit + 1)
    if after is not None:
        query = query.where(key > tuple_(after.at, after.id)).order_by(Event.at, Event.id)
    else:
        query = query.order_by(Event.at.desc(), Event.id.desc())
        if before is not None:
            query = query.where(key < tuple_(before.at, before.id))
    async with context.database.transaction() as session:
        found = list(await session.scalars(query))
        of = select(Resource.uuid, Resource.name).where(Resource.uuid.in_({event.resource_uuid for event in found}))
        names = dict((await session.execute(of)).all())
    has_more, events = len(found) > limit, found[:limit]
    if after is not None:
        events.reverse()
    if not events:
        return Page([], {}, None, None)
    newest, oldest = (Key(event.at, event.id) for event in (events[0], events[-1]))
    has_newer = has_more if after is not None else before is not None
    has_older = has_more or after is not None
    return Page(events, names, newest if has_newer else None, oldest if has_older else None)


# One step of the index for each kind, where DISTINCT would read all of it.
_KINDS: Final = text("""
    WITH RECURSIVE found(kind) AS (
        (SELECT kind FROM events ORDER BY kind LIMIT 1)
        UNION ALL
        SELECT (SELECT kind FROM events WHERE kind > found.kind ORDER BY kind LIMIT 1)
        FROM found WHERE found.kind IS NOT NULL
    )
    SELECT kind FROM found WHERE kind IS NOT NULL
""")


async def kinds(context: Context) -> Sequence[str]:
    """Every kind of event there is, by name."""
    async with context.database.transaction() as session:
        return (await session.scalars(_KINDS)).all()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """How far the chain is: its newest link, how many events wait for theirs, and the last verification."""

    head: Head
    waiting: int
    checked: Event | None

    @property
    def is_broken(self) -> bool:
        """Whether the last verification has found a fault."""
        return self.checked is not None and self.checked.kind == BROKEN


async def chain_state(context: Context) -> ChainState:
    """The chain as it is now."""
    async with context.database.transaction() as session:
        head = await find_head(session)
        checks = [
            await session.scalar(
                select(Event).where(Event.kind == kind).order_by(Event.at.desc(), Event.id.desc()).limit(1)
            )
            for kind in (VERIFIED, BROKEN)
        ]
        newest = max((event for event in checks if event is not None), key=lambda e: (e.at, e.id), default=None)
        return ChainState(head=head, waiting=await count_waiting(session, head), checked=newest)


async def export(context: Context, actor: Actor, wanted: Filter, form: Format) -> AsyncIterator[str]:
    """The events in the order of the chain, as lines in pieces; see `docs/admin.md`.

    What has no link yet gets it first. Only after a worker was away for long, events may be left: `chain_state` tells.

    Raises:
        NotAllowed: the actor is no owner.
    """
    actor.need(Role.OWNER)
    if form == "csv":
        yield _csv([_EXPORTED])
    await link_events(context, patience=_PATIENCE)
    position = 0
    while rows := await _exported(context, wanted, position):
        position = rows[-1]["position"]
        if form == "csv":
            yield _csv([["" if row[name] is None else _safe(plain(row[name])) for name in _EXPORTED] for row in rows])
        else:
            yield "".join(json.dumps({name: _json(row[name]) for name in _EXPORTED}) + "\n" for row in rows)


async def _exported(context: Context, wanted: Filter, after: int) -> list[dict[str, Any]]:
    before = aliased(AuditLink)
    query: Select[Any] = (
        select(AuditLink.position, AuditLink.linked_at, before.digest.label("previous"), AuditLink.digest)
        .add_columns(*EVENT_COLUMNS)
        .join(Event, Event.id == AuditLink.event_id)
        .outerjoin(before, before.position == AuditLink.position - 1)
        .where(AuditLink.position > after, *wanted.conditions)
        .order_by(AuditLink.position)
        .limit(_AT_ONCE)
    )
    async with context.database.transaction() as session:
        rows = (await session.execute(query)).mappings().all()
    return [{**row, "previous": (row["previous"] or NOTHING).hex(), "digest": row["digest"].hex()} for row in rows]


def _json(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int) else plain(value)


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text_of = io.StringIO()
    csv.writer(text_of).writerows(rows)
    return text_of.getvalue()


def _safe(word: str) -> str:
    """Text that a spreadsheet takes for text: what it would compute begins with an apostrophe instead."""
    return f"'{word}" if word.startswith(("=", "+", "-", "@", "\t", "\r", "'")) else word
