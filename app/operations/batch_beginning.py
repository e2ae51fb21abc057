"""How a batch begins with resources: many in one go where its action is a change of the row, else one by one."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Gone, Refused
from app.operations.action import Action, Change, Order, perform
from app.operations.actions import ACTIONS
from app.operations.models import Batch, BatchItem, ItemState
from app.operators.roles import Actor
from app.resources.models import Resource
from app.resources.traces import Event

_log = structlog.get_logger(__name__)

_GONE: Final = "It has been deprovisioned."
# What brings these is the database itself: the whole transaction is tried again.
_AWAY: Final = (OperationalError, InterfaceError)


async def begin(
    context: Context, session: AsyncSession, batch: Batch, actor: Actor, resources: Sequence[Resource]
) -> None:
    """Do the action, as a part of the session's transaction, and write down in the items what has become of it.

    Args:
        context: as everywhere.
        session: its transaction.
        batch: that these belong to.
        actor: on whose word.
        resources: locked.
    """
    uuids = [resource.uuid for resource in resources]
    order = Order(actor=actor, reason=batch.reason, parameters=batch.parameters)
    action = ACTIONS.get(batch.action)
    if action is None:
        await note(session, batch.id, uuids, _failed(context.clock(), "This action does not exist any more."))
        return
    if action.change is not None:
        try:
            async with session.begin_nested():
                await _begin_together(context, session, batch, action, action.change, order, resources)
        except _AWAY:
            raise
        except Exception:  # noqa: BLE001 - one of them breaks the program, and must not hold up all others
            _log.exception("resources of a batch could not begin together", batch=str(batch.id))
        else:
            return
    for uuid in uuids:
        await note(session, batch.id, [uuid], await _begin_one(context, session, batch, action, order, uuid))


async def note(session: AsyncSession, batch_id: UUID, uuids: Sequence[UUID], values: dict[str, Any]) -> None:
    """Write the same into the items of these resources."""
    items = update(BatchItem).where(BatchItem.batch_id == batch_id, BatchItem.resource_uuid.in_(uuids))
    await session.execute(items.values(values), execution_options={"synchronize_session": False})


async def _begin_together(
    context: Context,
    session: AsyncSession,
    batch: Batch,
    action: Action,
    change: Change,
    order: Order,
    resources: Sequence[Resource],
) -> None:
    now = context.clock()
    begun: list[UUID] = []
    refused: dict[str, list[UUID]] = defaultdict(list)
    for resource in resources:
        try:
            order.actor.need(action.role)
            why_not = action.refusal(context, resource)
            if why_not is None:
                change.make(context, session, resource, order)
        except Refused as refusal:
            why_not = refusal.message
        except Gone:
            why_not = _GONE
        if why_not is None:
            begun.append(resource.uuid)
        else:
            refused[why_not].append(resource.uuid)
    await session.flush()
    if begun:
        await context.queue.for_many().enqueue_many(session, change.job, begun)
        await note(session, batch.id, begun, _begun(now, change.said))
    for message, uuids in refused.items():
        await note(session, batch.id, uuids, _failed(now, message))


async def _begin_one(
    context: Context, session: AsyncSession, batch: Batch, action: Action, order: Order, uuid: UUID
) -> dict[str, Any]:
    now = context.clock()
    within = replace(context, database=context.database.within(session), queue=context.queue.for_many())
    try:
        said = await perform(within, action, uuid, order)
    except _AWAY:
        raise
    except Refused as refused:
        return _failed(now, refused.message)
    except Gone:
        return _failed(now, _GONE)
    except Exception as error:  # noqa: BLE001 - one resource that breaks the program must not hold up all others
        _log.exception("an action failed in a batch", batch=str(batch.id), resource=str(uuid))
        return _failed(now, f"Our mistake ({type(error).__name__}); the log of the worker tells more.")
    return _begun(now, said)


def _begun(now: datetime, said: str) -> dict[str, Any]:
    newest = select(func.max(Event.id)).where(Event.resource_uuid == BatchItem.resource_uuid).correlate(BatchItem)
    before = func.coalesce(newest.scalar_subquery(), 0)
    return {"state": ItemState.BEGUN, "message": said, "begun_at": now, "begun_event_id": before}


def _failed(now: datetime, message: str) -> dict[str, Any]:
    return {"state": ItemState.FAILED, "message": message, "ended_at": now}
