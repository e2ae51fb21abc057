"""Telling the team of alerts: once when they begin, once when they are over, many at once in one message.

Each message goes every configured way on its own: a way that is blocked delays no other. It is tried until it has
arrived, at growing intervals, for a day; then it is given up, and the panel says so. A process that dies in the middle
may send a message twice, never not at all.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog
from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused
from app.operations import alerts, messages
from app.operations.channels import Channel, NotDelivered, channels
from app.operations.messages import Content
from app.operations.models import Alert, AlertMessage
from app.operators.roles import Actor, Role
from app.resources.lifecycle import record

_log = structlog.get_logger(__name__)

# After a message, what follows is collected for so long: a storm is a few messages, not one for each alert.
COLLECTED_FOR: Final = timedelta(minutes=5)
# An alert that has been over for longer is not worth a message any more.
_STALE: Final = timedelta(days=1)
TRIED_FOR: Final = timedelta(days=1)
# Longer than a try may take, so that nobody begins a second one meanwhile.
_SHORTEST_WAIT: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(hours=1)
_MOST_AT_ONCE: Final = 6_000
_KEPT_FOR: Final = timedelta(days=90)
_ALERTS_KEPT_FOR: Final = timedelta(days=365)


async def watch(context: Context) -> None:
    """The round of every minute: look, write messages, deliver what is due."""
    await alerts.check(context)
    await write(context)
    await deliver(context)


async def write(context: Context) -> None:
    """Put what the team has not been told into a message for each way; without any way there is nobody to tell.

    What was over before it could be told is not told at all.
    """
    ways, now = channels(context), context.clock()
    if not ways:
        return
    async with context.database.transaction() as session:
        await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('alert messages'))"))
        newest = await session.scalar(select(func.max(AlertMessage.created_at)))
        if newest is not None and newest > now - COLLECTED_FOR:
            return
        begun = await _some(session, Alert.closed_at.is_(None), Alert.told_at.is_(None))
        over = await _some(
            session, Alert.closed_at > now - _STALE, Alert.told_at.is_not(None), Alert.closing_told_at.is_(None)
        )
        if not begun and not over:
            return
        facts = messages.content(context.manifest.name, _panel_url(context), begun, over)
        for name in ways:
            session.add(AlertMessage(id=uuid4(), channel=name, content=facts, created_at=now, next_at=now, attempts=0))
        for told, values in ((begun, {"told_at": now}), (over, {"closing_told_at": now})):
            await session.execute(update(Alert).where(Alert.id.in_([alert.id for alert in told])).values(values))


async def _some(session: AsyncSession, *conditions: ColumnElement[bool]) -> Sequence[Alert]:
    return (await session.scalars(select(Alert).where(*conditions).order_by(Alert.id).limit(_MOST_AT_ONCE))).all()


async def deliver(context: Context) -> None:
    """Send every message that is due, each way in its own order and for itself."""
    ways = channels(context)
    await _give_up_unknown(context, ways)
    await asyncio.gather(*(_deliver_by(context, way) for way in ways.values()))


async def _deliver_by(context: Context, way: Channel) -> None:
    """Until nothing is due or a message does not arrive: the next one would hardly, so it waits for the next round."""
    while (message := await _take(context, way.name)) is not None:
        error = await _try(way, message.id, message.content)
        async with context.database.transaction() as session:
            message = await session.get_one(AlertMessage, message.id)
            message.last_error = error
            if error is None:
                message.sent_at = context.clock()
            elif message.created_at <= context.clock() - TRIED_FOR:
                message.given_up_at = context.clock()
                _log.error("a message about alerts is given up", channel=way.name, reason=error)
            else:
                _log.warning("a message about alerts has not arrived", channel=way.name, reason=error)
        if error is not None:
            return


async def _take(context: Context, channel: str) -> AlertMessage | None:
    """The oldest message that is due, which is due again after a while should this try come to nothing."""
    now = context.clock()
    is_due = (
        AlertMessage.channel == channel,
        AlertMessage.next_at <= now,
        AlertMessage.sent_at.is_(None),
        AlertMessage.given_up_at.is_(None),
    )
    query = select(AlertMessage).where(*is_due).order_by(AlertMessage.created_at).limit(1)
    async with context.database.transaction() as session:
        message = await session.scalar(query.with_for_update(skip_locked=True))
        if message is not None:
            message.next_at = now + min(_SHORTEST_WAIT * 2**message.attempts, _LONGEST_WAIT)
            message.attempts += 1
        return message


async def _try(way: Channel, id_: UUID, facts: Content) -> str | None:
    """None if it has arrived, else what went wrong."""
    try:
        await way.send(id_, facts)
    except NotDelivered as error:
        return str(error)
    except Exception:  # noqa: BLE001 - one way that is broken must not stop the others
        _log.exception("a message about alerts could not be sent", channel=way.name)
        return "It failed unexpectedly; the log says how."
    return None


async def _give_up_unknown(context: Context, ways: Mapping[str, Channel]) -> None:
    """Messages for a way that the settings no longer name."""
    is_stranded = (
        AlertMessage.sent_at.is_(None),
        AlertMessage.given_up_at.is_(None),
        AlertMessage.channel.not_in(ways),
    )
    values = {"given_up_at": context.clock(), "last_error": "This way to the team is not set up any more."}
    async with context.database.transaction() as session:
        await session.execute(update(AlertMessage).where(*is_stranded).values(values))


async def send_trial(context: Context, actor: Actor) -> Mapping[str, str | None]:
    """Send a message every way at once; for each the reason why it did not arrive, or None.

    Raises:
        Refused: the role is too low, or there is no way to the team.
    """
    actor.need(Role.OPERATOR)
    ways = channels(context)
    if not ways:
        raise Refused("No way to the team is set up. Set ALERT_SMTP_URL or ALERT_WEBHOOK_URL.")
    async with context.database.transaction() as session:
        words = "A trial of alerts was sent"
        record(session, None, context.clock(), "alert_trial", actor.name, words, operator_id=actor.operator_id)
    facts, id_ = messages.trial(context.manifest.name, _panel_url(context), actor.name), uuid4()
    errors = await asyncio.gather(*(_try(way, id_, facts) for way in ways.values()))
    return dict(zip(ways, errors, strict=True))


async def undelivered(context: Context, *, limit: int = 20) -> Sequence[AlertMessage]:
    """The newest messages that wait to be sent again or were given up lately."""
    query = select(AlertMessage).where(AlertMessage.sent_at.is_(None), AlertMessage.last_error.is_not(None))
    lately = AlertMessage.created_at > context.clock() - timedelta(days=7)
    async with context.database.transaction() as session:
        return (await session.scalars(query.where(lately).order_by(AlertMessage.created_at.desc()).limit(limit))).all()


async def forget(context: Context) -> None:
    """Remove messages and alerts of which nobody will ask any more."""
    now = context.clock()
    async with context.database.transaction() as session:
        await session.execute(delete(AlertMessage).where(AlertMessage.created_at < now - _KEPT_FOR))
        await session.execute(delete(Alert).where(Alert.closed_at < now - _ALERTS_KEPT_FOR))


def _panel_url(context: Context) -> str:
    return f"{context.settings.public_url}/admin"
