"""Many at once: an order for one action on every resource that a search finds, up to `MOST` of them.

An order is stored with one item for each resource and worked through by `batch_work.py`; how far it is tells
`batch_progress.py`. Here are the operator's verbs: order, pause, resume, cancel.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused
from app.operations.action import Action, clean_reason
from app.operations.actions import ACTIONS
from app.operations.batch_selection import check_parameters, selected
from app.operations.models import Batch, BatchItem, BatchState, ItemState
from app.operators.models import Operator
from app.operators.roles import Actor, Role
from app.resources.lifecycle import record

_CHUNK: Final = 1000


async def order(
    context: Context,
    actor: Actor,
    *,
    action: Action,
    query: str,
    parameters: Mapping[str, str],
    reason: str,
    number: int | None,
) -> UUID:
    """Store a batch; the worker begins with it within seconds. Its id.

    Args:
        context: as everywhere.
        actor: who orders it; it goes on with their name, as long as they may do this.
        action: one that is for many.
        query: a search, or `failed-in:` and the id of a batch.
        parameters: of the action, the same for every resource.
        reason: kept in the history of every resource.
        number: how many the operator thinks they are.

    Raises:
        Refused: the role is too low, the reason is missing, nothing or too much is found, or another number.
    """
    need(actor, action)
    reason = clean_reason(reason)
    uuids = await selected(context, query)
    if number != len(uuids):
        raise Refused(f"Type how many resources it is about, {len(uuids)}, to confirm. Nothing was done.")
    chosen = await check_parameters(context, action, uuids, parameters)
    batch = Batch(
        id=uuid4(),
        action=action.id,
        parameters=chosen,
        query=query,
        reason=reason,
        ordered_by=actor.name,
        actor=actor.name,
        role_number=actor.role,
        operator_id=actor.operator_id,
        created_at=context.clock(),
        started_at=context.clock(),
    )
    async with context.database.transaction() as session:
        session.add(batch)
        await session.flush()
        for first in range(0, len(uuids), _CHUNK):
            rows = [
                {"batch_id": batch.id, "resource_uuid": uuid, "state": ItemState.WAITING}
                for uuid in uuids[first : first + _CHUNK]
            ]
            await session.execute(insert(BatchItem), rows)
        _note(context, session, actor, "batch_ordered", f"{_title(batch)}: {len(uuids)} resources, {query}", reason)
    return batch.id


async def pause(context: Context, actor: Actor, batch_id: UUID) -> None:
    """Begin with no further resource; what has begun finishes.

    Raises:
        Refused: the role is too low, or it is not running.
    """
    async with context.database.transaction() as session:
        batch = await _locked(session, actor, batch_id)
        if batch.state is not BatchState.RUNNING:
            raise Refused(f"It cannot be paused: it is {batch.state}.")
        batch.state = BatchState.PAUSED
        _note(context, session, actor, "batch_paused", f"{_title(batch)}: paused")


async def resume(context: Context, actor: Actor, batch_id: UUID) -> None:
    """Go on with a paused batch, from now on with the name and the role of who resumes it.

    Raises:
        Refused: the role is too low, or it is not paused.
    """
    async with context.database.transaction() as session:
        batch = await _locked(session, actor, batch_id)
        actor.need(_role_for(batch))
        if batch.state is not BatchState.PAUSED:
            raise Refused(f"It cannot be resumed: it is {batch.state}.")
        batch.actor, batch.role_number, batch.operator_id = actor.name, actor.role, actor.operator_id
        batch.state, batch.started_at, batch.note = BatchState.RUNNING, context.clock(), None
        _note(context, session, actor, "batch_resumed", f"{_title(batch)}: resumed")


async def cancel(context: Context, actor: Actor, batch_id: UUID) -> None:
    """Leave out what has not begun; what has begun finishes.

    Raises:
        Refused: the role is too low, or it is over already.
    """
    async with context.database.transaction() as session:
        batch = await _locked(session, actor, batch_id)
        if batch.ended_at is not None:
            raise Refused(f"It cannot be cancelled: it is {batch.state}.")
        batch.state, batch.ended_at = BatchState.CANCELLED, context.clock()
        _note(context, session, actor, "batch_cancelled", f"{_title(batch)}: cancelled")


def need(actor: Actor, action: Action) -> None:
    """Let nobody pass who may not do this to many.

    Raises:
        Refused: the role is too low, or the action is for one resource at a time.
    """
    actor.need(max(action.role, Role.OPERATOR))
    if not action.is_for_many:
        raise Refused(f"{action.title}: that is done to one resource at a time.")


async def on_whose_word(session: AsyncSession, batch: Batch) -> Actor:
    """Who answers for what the batch begins now, with the role that they have now.

    Raises:
        Refused: they may not do this any more; the sentence is for whoever may resume it.
    """
    if batch.operator_id is None:
        return Actor(name=batch.actor, role=Role(batch.role_number))
    operator = await session.get_one(Operator, batch.operator_id)
    needed = _role_for(batch)
    if operator.disabled_at is not None:
        why = "is disabled now"
    elif operator.role < needed:
        why = f"has the role {operator.role.word} now, and this takes the role {needed.word}"
    else:
        return Actor(name=batch.actor, role=operator.role, operator_id=operator.id)
    raise Refused(f"{batch.actor}, on whose word it went on, {why}.")


def _role_for(batch: Batch) -> Role:
    action = ACTIONS.get(batch.action)
    return Role.OPERATOR if action is None else max(action.role, Role.OPERATOR)


async def _locked(session: AsyncSession, actor: Actor, batch_id: UUID) -> Batch:
    actor.need(Role.OPERATOR)
    batch = await session.get(Batch, batch_id, with_for_update=True)
    if batch is None:
        raise Refused("There is no such batch.")
    return batch


def _title(batch: Batch) -> str:
    return f"Batch {batch.id}, {action_title(batch)}"


def action_title(batch: Batch) -> str:
    """What it does, also if that action is no longer offered."""
    action = ACTIONS.get(batch.action)
    title = action.title if action is not None else batch.action
    return " ".join([title, *(f"({value})" for value in batch.parameters.values())])


def _note(
    context: Context, session: AsyncSession, actor: Actor, kind: str, text: str, reason: str | None = None
) -> None:
    record(session, None, context.clock(), kind, actor.name, text, operator_id=actor.operator_id, reason=reason)
