"""What the program mends by itself, a few things every minute, each after another look at Heroku.

Safe is what takes nothing from anybody: a push or an announcement that Heroku has missed, a provision that stands
still. Everything else stays a proposal for operators. An end is final, and Heroku's list may be wrong. A plan may be
another one because an operator moved it. And config vars that were never ours may be newer than this database.
"""

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, func, select

from app.context import Context
from app.errors import Gone, Refused, Retry, Unauthorized
from app.operations import reconciliation, repairs
from app.operations.action import Order
from app.operations.models import Difference, Reconciliation
from app.operators.roles import Actor, Role
from app.resources.config_values import Standing
from app.resources.delivery import config_standing, send_again
from app.resources.lifecycle import PROGRAM, locked, record
from app.resources.models import Resource, State

_log = structlog.get_logger(__name__)

HEALER: Final = Order(actor=Actor(name=PROGRAM, role=Role.OPERATOR), reason="Mended by the program")
# The repairs of `repairs.REPAIRS` that need nobody's word.
SAFE: Final = ("retry-now", "announce")
# How long a comparison's differences are left to the program before the team is told of them.
PATIENCE: Final = timedelta(minutes=30)

_EVERY: Final = timedelta(days=1)
_AGAIN: Final = timedelta(hours=1)
# Of the resources that operators' batches may begin with in a minute, which leaves the rest to customers.
_SHARE: Final = 3
# Less than the minute after which the next round begins.
_LONGEST_ROUND: Final = timedelta(seconds=45)
_THEIRS: Final = (
    "Heroku has config vars that were never ours, as far as this database knows. Nothing was done: an operator decides."
)


async def heal(context: Context) -> None:
    """The round of every minute: what the newest comparison has found, then a look at some resources' config vars."""
    if not context.settings.self_healing:
        return
    left = max(1, context.settings.batch_per_minute // _SHARE)
    try:
        async with asyncio.timeout(_LONGEST_ROUND.total_seconds()):
            left -= await _mend_found(context, left)
            await _look_at_configs(context, left)
    except TimeoutError:
        _log.info("the rest is healed in the next round")


async def _mend_found(context: Context, most: int) -> int:
    """Mend what is safe of the newest comparison, each difference until Heroku has answered; how many were tried."""
    run = await reconciliation.latest(context)
    if run is None or run.error is not None or run.caution is not None:
        return 0
    query = select(Difference).where(*_untried(run))
    async with context.database.transaction() as session:
        found = (await session.scalars(query.order_by(Difference.id).limit(most))).all()
    for difference in found:
        try:
            is_newer = await _is_newer_at_heroku(context, difference)
        except (Retry, Unauthorized) as error:
            _log.info("nothing was mended", resource=str(difference.resource_uuid), reason=str(error))
            continue
        if is_newer:
            await repairs.note(context, difference.id, _THEIRS, by=None)
            continue
        async for outcome in repairs.apply(context, HEALER.actor, [difference.id], HEALER.reason):
            _log.info("mended", resource=str(outcome.resource_uuid), is_over=outcome.is_over, outcome=outcome.text)
    return len(found)


def _untried(run: Reconciliation) -> tuple[ColumnElement[bool], ...]:
    is_open = (Difference.repaired_at.is_(None), Difference.outcome.is_(None), Difference.repair.in_(SAFE))
    return (Difference.reconciliation_id == run.id, *is_open)


async def being_mended(context: Context, run: Reconciliation) -> int:
    """How many differences of a comparison the program has not come to yet, as long as that is no news for the team."""
    is_fresh = run.ended_at is not None and run.ended_at > context.clock() - PATIENCE
    if not context.settings.self_healing or run.caution is not None or not is_fresh:
        return 0
    query = select(func.count()).where(*_untried(run))
    async with context.database.transaction() as session:
        return int(await session.scalar(query) or 0)


async def mended(context: Context, run: Reconciliation) -> int:
    """How many differences of a comparison are over because of the program."""
    is_ours = (Difference.repaired_by == PROGRAM, Difference.repaired_at.is_not(None))
    query = select(func.count()).where(Difference.reconciliation_id == run.id, *is_ours)
    async with context.database.transaction() as session:
        return int(await session.scalar(query) or 0)


async def _is_newer_at_heroku(context: Context, difference: Difference) -> bool:
    """Whether a push that waits here would replace what this database does not know.

    Raises:
        Retry, Unauthorized: that cannot be found out now.
    """
    async with context.database.transaction() as session:
        resource = await session.get(Resource, difference.resource_uuid)
    if resource is None or resource.state is not State.PROVISIONED or not resource.needs_push:
        return False
    try:
        return await config_standing(context, resource) is Standing.UNKNOWN
    except (Gone, Refused):  # nor will the push succeed; the repair itself says why
        return False


async def _look_at_configs(context: Context, most: int) -> None:
    """Look at the config vars that Heroku has of the resources whose turn it is."""
    is_due = (Resource.config_due_at <= context.clock(), Resource.state == State.PROVISIONED)
    query = select(Resource.uuid).where(*is_due).order_by(Resource.config_due_at).limit(most)
    async with context.database.transaction() as session:
        uuids = (await session.scalars(query)).all()
    for uuid in uuids:
        try:
            await _look(context, uuid)
        except (Gone, Refused, Retry, Unauthorized) as error:
            _log.info("Heroku's config vars could not be looked at", resource=str(uuid), reason=str(error))
            wait = _AGAIN if isinstance(error, Retry) else _EVERY
            async with context.database.transaction() as session:
                (await locked(session, uuid)).config_due_at = context.clock() + wait


async def _look(context: Context, uuid: UUID) -> None:
    async with context.database.transaction() as session:
        resource = await session.get_one(Resource, uuid)
    if resource.needs_push:
        raise Retry("a push is on its way")
    found = await config_standing(context, resource)
    async with context.database.transaction() as session:
        version, resource = resource.config_version, await locked(session, uuid)
        if resource.is_gone or resource.config_version != version:
            return
        now = context.clock()
        resource.config_due_at = now + _EVERY
        if found is Standing.SAME:
            resource.config_differs_at = None
            return
        if found is Standing.OLDER and await send_again(context, session, resource):
            return
        if resource.config_differs_at is None:
            resource.config_differs_at = now
            text = "Heroku has other config vars than it was sent"
            record(session, uuid, now, "config_differs", PROGRAM, text, is_for_customer=False)
