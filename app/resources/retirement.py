"""Retirement: the previous credentials of a rotation stop, when their overlap is over and nobody needs them any more.

Taking them away too early cuts off a customer; leaving them for ever makes a rotation worthless. So what is told from
outside decides, and the longest wait is bounded: see `_why_wait`.
"""

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from app.context import Context
from app.errors import Gone, Refused, Retry, Unauthorized
from app.resources.config_values import Standing
from app.resources.delivery import config_standing, send_again
from app.resources.lifecycle import PROGRAM, locked, tell
from app.resources.models import Hold, Resource

_log = structlog.get_logger(__name__)

# For so long the previous credentials are kept beyond their overlap because somebody uses them, or because Heroku does
# not tell what it has. Credentials are rotated because they may have leaked: whoever has them must not keep them alive.
LONGEST_HOLD: Final = timedelta(days=1)
# When what holds a retirement back is looked at again. Asking Heroku is dear: its calls are counted.
_LOOK_AGAIN: Final = {Hold.CLIENTS: timedelta(minutes=5), Hold.HEROKU: timedelta(hours=1)}
_LONGEST_COUNT: Final = timedelta(seconds=30)

_TEXTS: Final = {
    Hold.CLIENTS: "The previous credentials are still in use, so they work for up to a day longer",
    Hold.HEROKU: "The previous credentials go on working: whether Heroku has the new ones is not certain",
}


async def retire_service(context: Context, uuid: UUID) -> None:
    """Stop the previous credentials, once their overlap is over and nothing holds that back."""
    async with context.database.transaction() as session:
        resource = await session.get_one(Resource, uuid)
    if resource.is_gone:
        raise Gone
    if resource.retire_at is None or resource.retire_at > context.clock():
        return
    if resource.retirement_asked_at is None:
        hold, is_older = await _why_wait(context, resource)
        if hold is not None:
            await _wait(context, resource, hold, is_older=is_older)
            return
    wanted = resource.info(context.keys, plan=resource.service_plan)
    with context.watch.driver_call(wanted.plan, "retire"):
        await context.plans[wanted.plan].driver.retire(wanted)
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Gone
        is_last = resource.retirement_asked_at is None and _is_last(context, resource)
        text = "Previous credentials retired" + (", after a day of waiting" if is_last else "")
        resource.retire_at = resource.retirement_asked_at = None
        resource.retirement_waits_for = resource.retirement_waits_since = None
        await tell(context, session, uuid, context.clock(), "retired", PROGRAM, text)


async def _why_wait(context: Context, resource: Resource) -> tuple[Hold | None, bool]:
    """What holds the retirement back now; and whether Heroku is known to have older config vars.

    | what is found                          | the previous credentials               |
    |----------------------------------------|----------------------------------------|
    | somebody uses them                     | wait, for a day at most                |
    | Heroku has older config vars           | wait without an end: apps have no other |
    | Heroku has others, or does not tell    | wait, for a day at most                |
    | nobody does, and Heroku has ours       | are retired                            |
    """
    is_last = _is_last(context, resource)
    if not is_last and await _are_in_use(context, resource):
        return Hold.CLIENTS, False
    if resource.needs_push:
        return Hold.HEROKU, False
    try:
        found = await config_standing(context, resource)
    except (Gone, Refused, Retry, Unauthorized) as error:
        _log.info("Heroku does not tell which config vars it has", reason=str(error))
        found = Standing.UNKNOWN
    if found is Standing.OLDER:
        return Hold.HEROKU, True
    return (None if found is Standing.SAME or is_last else Hold.HEROKU), False


def _is_last(context: Context, resource: Resource) -> bool:
    since = resource.retirement_waits_since
    return since is not None and context.clock() >= since + LONGEST_HOLD


async def _are_in_use(context: Context, resource: Resource) -> bool:
    """Whether the driver counts clients of older credentials than the current ones.

    Raises:
        Retry: it does not answer; nor would it retire anything.
    """
    info = resource.info(context.keys, plan=resource.service_plan)
    try:
        async with asyncio.timeout(_LONGEST_COUNT.total_seconds()):
            with context.watch.driver_call(info.plan, "in_use"):
                clients = await context.plans[info.plan].driver.in_use(info)
    except TimeoutError:
        raise Retry("the driver does not tell who uses the previous credentials") from None
    return any(number for generation, number in (clients or {}).items() if generation < resource.generation)


async def _wait(context: Context, seen: Resource, hold: Hold, *, is_older: bool) -> None:
    async with context.database.transaction() as session:
        resource = await locked(session, seen.uuid)
        is_as_seen = resource.config_version == seen.config_version and resource.retire_at == seen.retire_at
        if resource.is_gone or not is_as_seen or resource.retirement_asked_at is not None:
            return  # changed meanwhile: whoever did that has asked for what is next, or the sweep does
        now = context.clock()
        if resource.retirement_waits_for != hold:
            await tell(context, session, resource.uuid, now, "retirement_waits", PROGRAM, _TEXTS[hold])
        resource.retirement_waits_for = hold
        resource.retirement_waits_since = resource.retirement_waits_since or now
        if not is_older or not await send_again(context, session, resource):
            resource.retire_at = now + _LOOK_AGAIN[hold]
