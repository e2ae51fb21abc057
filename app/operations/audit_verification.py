"""Whether the audit log is still as it was written.

Whoever can write to every table can also compute the whole chain anew, and whoever can delete can cut off its end. Only
a digest that is kept elsewhere shows that: the head is logged every day, and `expected` is such a digest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused
from app.operations.audit_chain import EVENT_COLUMNS, NOTHING, Head, digest, find_head, settled_id, without_link
from app.operations.models import AuditLink
from app.operators.roles import Actor, Role
from app.resources.lifecycle import PROGRAM, record
from app.resources.traces import Event

_log = structlog.get_logger(__name__)

_AT_ONCE: Final = 2000
# One pass over an index; a statement's usual time would end it at some twenty million events.
_LONGEST_PASS: Final = timedelta(minutes=10)
VERIFIED: Final = "audit_verified"
BROKEN: Final = "audit_broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the verification has found.

    Attributes:
        fault: a sentence about the first thing that is not as it was written; None if everything is.
        position: the first link at fault, as far as the fault has one.
        event_id: the first event at fault, as far as it is known.
        links: how many links were found good.
        waiting: events of the last moments that have no link yet.
        head: the digest of the newest link, in hex; 64 zeros before there is one.
        is_unbroken: the log agrees with itself; with a `fault` all the same, only the expected digest was not met.
    """

    fault: str | None
    position: int | None = None
    event_id: int | None = None
    links: int
    waiting: int
    head: str
    is_unbroken: bool


class _Fault(Exception):
    def __init__(self, sentence: str, position: int | None, event_id: int | None) -> None:
        super().__init__(sentence)
        self.sentence, self.position, self.event_id = sentence, position, event_id


@dataclass(slots=True)
class _Walk:
    """How far the walk along the chain has come."""

    position: int = 0
    digest: bytes = NOTHING
    has_met_expected: bool = False


def read_digest(written: str) -> bytes:
    """A digest that somebody has written down.

    Raises:
        Refused: it is none.
    """
    try:
        found = bytes.fromhex(written.strip())
    except ValueError:
        found = b""
    if len(found) != len(NOTHING):
        raise Refused("A digest is 64 hexadecimal digits.")
    return found


async def verify(
    context: Context, *, expected: bytes | None = None, progress: Callable[[int, int], None] | None = None
) -> Verdict:
    """Walk along the whole chain; a million events take half a minute and no memory to speak of.

    Args:
        context: as everywhere.
        expected: a digest that was the head at some time, as it was written down elsewhere.
        progress: told how many links were walked, of how many.
    """
    async with context.database.transaction() as session:
        head = await find_head(session)
    walk, fault, is_unbroken = _Walk(has_met_expected=expected is None), None, False
    try:
        while links := await _next(context, walk.position):
            for link in links:
                _step(walk, link)
                walk.has_met_expected |= walk.digest == expected
            if progress is not None:
                progress(walk.position, max(head.position, walk.position))
        async with context.database.transaction() as session:
            await _find_inserted(session)
        is_unbroken = True
        if not walk.has_met_expected:
            sentence = "The expected digest is nowhere in the chain: it was cut off or computed anew."
            raise _Fault(sentence, None, None)  # noqa: TRY301 - one way out for every fault
    except _Fault as found:
        fault = found
    async with context.database.transaction() as session:
        head = await find_head(session)
        waiting = await count_waiting(session, head)
    return Verdict(
        fault=fault.sentence if fault else None,
        position=fault.position if fault else None,
        event_id=fault.event_id if fault else None,
        links=walk.position,
        waiting=waiting,
        head=head.digest.hex(),
        is_unbroken=is_unbroken,
    )


async def _next(context: Context, after: int) -> Sequence[Any]:
    columns = (AuditLink.position, AuditLink.event_id, AuditLink.digest, AuditLink.linked_at, *EVENT_COLUMNS)
    query: Select[Any] = select(*columns).outerjoin(Event, Event.id == AuditLink.event_id)
    query = query.where(AuditLink.position > after).order_by(AuditLink.position).limit(_AT_ONCE)
    async with context.database.transaction() as session:
        return list((await session.execute(query)).mappings())


def _step(walk: _Walk, link: Any) -> None:
    position, event_id = link["position"], link["event_id"]
    if position != walk.position + 1:
        raise _Fault(f"Link {walk.position + 1} is missing: it was deleted.", walk.position + 1, None)
    if link["id"] is None:
        raise _Fault(f"Event {event_id} of link {position} is missing: it was deleted.", position, event_id)
    if digest(walk.digest, link) != link["digest"]:
        sentence = f"Event {event_id} is not what link {position} says: one of them was altered."
        raise _Fault(sentence, position, event_id)
    walk.position, walk.digest = position, link["digest"]


async def _find_inserted(session: AsyncSession) -> None:
    settled = await settled_id(session, await find_head(session))
    if settled is None:
        return
    await session.execute(text(f"SET LOCAL statement_timeout = {int(_LONGEST_PASS.total_seconds() * 1000)}"))
    query = without_link(None).with_only_columns(Event.id).where(Event.id <= settled)
    event_id = await session.scalar(query.limit(1))
    if event_id is not None:
        sentence = f"Event {event_id} has no link, and later ones have: it was inserted, or its link was deleted."
        raise _Fault(sentence, None, event_id)


async def count_waiting(session: AsyncSession, head: Head) -> int:
    """How many events have no link yet, for good reasons."""
    unlinked = without_link(await settled_id(session, head)).with_only_columns(Event.id).subquery()
    return await session.scalar(select(func.count()).select_from(unlinked)) or 0


async def verify_and_record(
    context: Context,
    actor: Actor | None = None,
    *,
    expected: bytes | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Verify, and keep the outcome in both logs; without an actor it is the program's own deed.

    A digest that was typed wrong must not alert anybody: what is recorded is whether the log agrees with itself.

    Raises:
        Refused: the actor's role is too low.
    """
    if actor is not None:
        actor.need(Role.VIEWER)
    verdict = await verify(context, expected=expected, progress=progress)
    if verdict.is_unbroken:
        kind, words = VERIFIED, f"Audit log verified: {verdict.links:,} links, head {verdict.head}"
        if verdict.fault is not None:
            words += "; a digest that was expected is not in it"
        _log.info("audit log verified", links=verdict.links, head=verdict.head)
    else:
        kind, words = BROKEN, f"Audit log is broken: {verdict.fault} Head {verdict.head}"
        _log.error("audit log is broken", fault=verdict.fault, head=verdict.head)
    name = actor.name if actor is not None else PROGRAM
    operator_id: UUID | None = actor.operator_id if actor is not None else None
    async with context.database.transaction() as session:
        record(session, None, context.clock(), kind, name, words, operator_id=operator_id)
    return verdict


async def verify_daily(context: Context) -> None:
    """The program's own verification; its log keeps the head where nobody can alter it by writing to the database."""
    await verify_and_record(context)
