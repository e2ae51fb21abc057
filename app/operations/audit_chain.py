"""The chain over the audit log, which is the table of events: with it, no event can be altered unseen, nor go or come.

Soon after an event was recorded it gets a link, whose digest is SHA-256 of the digest of the link before (32 zero bytes
for the first) and of all that the event says. What exactly goes into it is told in `docs/admin.md`, so that anybody can
compute it.

Ids are given out before transactions commit, so an event can appear after one with a higher id has its link. The order
of the chain is its own. It takes late events as long as they can be late for an honest reason: see `settled_id`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from time import monotonic
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.operations.models import AuditLink
from app.resources.traces import Event

NOTHING: Final = bytes(32)
EVENT_COLUMNS: Final = tuple(Event.__table__.columns)
_NAMES: Final = tuple(sorted([column.name for column in EVENT_COLUMNS] + ["linked_at"]))

_AT_ONCE: Final = 1000
# No transaction of ours lives anywhere near as long, nor do so many events fit into one's life.
_LATEST: Final = timedelta(minutes=10)
_MOST_LATE: Final = 50_000


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link. Before there is one: position 0."""

    position: int
    digest: bytes
    linked_at: datetime | None


async def find_head(session: AsyncSession) -> Head:
    """The chain's end as it is now."""
    columns = (AuditLink.position, AuditLink.digest, AuditLink.linked_at)
    row = (await session.execute(select(*columns).order_by(AuditLink.position.desc()).limit(1))).one_or_none()
    return Head(0, NOTHING, None) if row is None else Head(*row)


async def link_events(context: Context, *, patience: timedelta | None = None) -> None:
    """Give every event that has none its link. One process at a time does it.

    Args:
        context: as everywhere.
        patience: for who needs the links now: after another process, and not for much longer than that. Without it
            another process at work is good enough, and there is no hurry.
    """
    after, now = None, context.clock()
    begun = monotonic()
    key = func.hashtext("audit chain")
    while True:
        async with context.database.transaction() as session:
            if patience is not None:
                await session.execute(select(func.pg_advisory_xact_lock(key)))
            elif not await session.scalar(select(func.pg_try_advisory_xact_lock(key))):
                return
            head = await find_head(session)
            if after is None:
                after = await settled_id(session, head)
            events = (await session.execute(without_link(after).limit(_AT_ONCE))).mappings().all()
            if events:
                await session.execute(insert(AuditLink), _links(head, events, max(now, head.linked_at or now)))
                after = events[-1]["id"]
        is_late = patience is not None and monotonic() - begun > patience.total_seconds()
        if len(events) < _AT_ONCE or is_late:
            return


def _links(head: Head, events: Any, linked_at: datetime) -> list[dict[str, Any]]:
    links, before = [], head.digest
    for position, event in enumerate(events, head.position + 1):
        before = digest(before, {**event, "linked_at": linked_at})
        links.append({"position": position, "event_id": event["id"], "digest": before, "linked_at": linked_at})
    return links


def without_link(after: int | None) -> Select[Any]:
    """The events that have no link and an id above `after`, in the order of their ids."""
    # A look-up for each event, whatever the statistics say: they do not know yet how much the chain has just grown.
    its_link = select(AuditLink.event_id).where(AuditLink.event_id == Event.id).scalar_subquery()
    query = select(*EVENT_COLUMNS).where(its_link.is_(None)).order_by(Event.id)
    return query if after is None else query.where(Event.id > after)


async def settled_id(session: AsyncSession, head: Head) -> int | None:
    """Up to this id every event has its link, or was put there later by somebody who is not this program.

    Measured from the newest link, not from now: after a worker was away for long, what has come late meanwhile is not
    taken for a forgery.
    """
    if head.linked_at is None:
        return None
    is_settled = or_(AuditLink.linked_at < head.linked_at - _LATEST, AuditLink.position <= head.position - _MOST_LATE)
    return await session.scalar(
        select(AuditLink.event_id).where(is_settled).order_by(AuditLink.event_id.desc()).limit(1)
    )


def digest(before: bytes, content: Mapping[str, Any]) -> bytes:
    """The digest of a link.

    Args:
        before: the digest of the link before it.
        content: the event's columns and the link's `linked_at`, by name. What is None counts as not there, so that
            columns of later versions change no old digest.
    """
    parts = [before]
    for name in _NAMES:
        value = content[name]
        if value is not None:
            for word in (name, plain(value)):
                raw = word.encode()
                parts += (len(raw).to_bytes(4, "big"), raw)
    return sha256(b"".join(parts)).digest()


def plain(value: str | int | UUID | datetime) -> str:
    """A column's value as text: the same in digests and in exports."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case _:
            return str(value)
