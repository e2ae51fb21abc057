"""Actions on what opens the service and what opens Heroku: config, credentials, tokens."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Gone, Refused, Retry, Unauthorized
from app.operations.action import Action, Change, Order, clean_reason, record_order
from app.operators.roles import Role
from app.resources import rotation
from app.resources.config_values import look_soon
from app.resources.jobs import ROTATION_OVERLAP
from app.resources.lifecycle import locked, record
from app.resources.models import Resource, State
from app.resources.tokens import fresh_access_token

_log = structlog.get_logger(__name__)

# A page waits for this; without an answer by then it says that nobody knows.
_LONGEST_LOOK: Final = timedelta(seconds=2)


async def credentials_in_use(context: Context, resource: Resource) -> Mapping[int, int] | None:
    """How many clients use each generation of the credentials now; None if the driver cannot tell, or not in time."""
    try:
        async with asyncio.timeout(_LONGEST_LOOK.total_seconds()):
            info = resource.info(context.keys, plan=resource.service_plan)
            with context.watch.driver_call(info.plan, "in_use"):
                return await context.plans[info.plan].driver.in_use(info)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the service, a page about it has to be shown
        _log.warning("cannot tell which credentials are in use", resource=str(resource.uuid), kind=type(error).__name__)
        return None


async def reveal_config(context: Context, uuid: UUID, order: Order) -> Mapping[str, str]:
    """The config vars with their values, also of a restored service. Who looked and why is remembered, or nothing is
    returned; the customer sees that it was support.

    Raises:
        Refused: the role is too low, the reason is missing, or there are no config vars.
    """
    order.actor.need(Role.SUPPORT)
    order = Order(actor=order.actor, reason=clean_reason(order.reason))
    async with context.database.transaction() as session:
        resource = await session.get(Resource, uuid)
        if resource is None or resource.config_sealed is None or resource.state is State.PROVISIONING:
            raise Refused("There are no config vars to show.")
        text = "Config vars shown to support"
        record(session, uuid, context.clock(), "config_shown", text=text, **order.signature)
    return resource.config(context.keys)


def _why_no_push(_context: Context, resource: Resource) -> str | None:
    if resource.state is not State.PROVISIONED:
        return "Only a provisioned resource has config vars at Heroku."
    if not resource.has_tokens:
        return "Heroku has never authorized us to change the config vars of this resource."
    return None


async def _foretell_push(_context: Context, resource: Resource) -> str:
    return (
        f"Heroku gets the config vars of {resource.name} once more, as they are now. "
        "Every app it is attached to gets a release and restarts."
    )


async def _push(context: Context, uuid: UUID, order: Order) -> str:
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        _request_push(context, session, resource, order)
        await context.queue.enqueue(session, _NEW_PUSH.job, uuid)
    return _NEW_PUSH.said


def _request_push(context: Context, session: AsyncSession, resource: Resource, order: Order) -> None:
    if resource.is_gone:
        raise Gone
    if resource.config_version == 0:
        raise Refused("There is no config yet.")
    resource.config_version += 1
    resource.config_changed_at = context.clock()
    look_soon(resource, context.clock())
    record_order(context, session, resource.uuid, order, "push_requested", "Config vars are sent to Heroku again")


_NEW_PUSH: Final = Change(make=_request_push, job="push_config", said="The config vars are on their way to Heroku.")


PUSH_CONFIG: Final = Action(
    id="push-config",
    title="Push config again",
    role=Role.SUPPORT,
    why_not=_why_no_push,
    foretell=_foretell_push,
    run=_push,
    is_for_many=True,
    change=_NEW_PUSH,
)


async def _foretell_rotation(_context: Context, resource: Resource) -> str:
    hours = ROTATION_OVERLAP // timedelta(hours=1)
    return (
        f"New credentials of {resource.name} are made and sent to Heroku. Every app it is attached to gets a release "
        f"and restarts. The present credentials work for {hours} more hours after Heroku has the new ones, and for up "
        "to a day longer while anything is seen to use them. Then whatever still uses them is cut off; if they have "
        "leaked, retire them before."
    )


async def _rotate(context: Context, uuid: UUID, order: Order) -> str:
    await rotation.rotate(context, uuid, **order.signature)
    return _ROTATION.said


def _request_rotation(context: Context, session: AsyncSession, resource: Resource, order: Order) -> None:
    rotation.request(context, session, resource, **order.signature)


_ROTATION: Final = Change(make=_request_rotation, job="rotate_service", said="The rotation has begun.")


def _why_no_rotation(_context: Context, resource: Resource) -> str | None:
    """What a customer reads is not for operators, who are the support that it names."""
    if resource.is_gone:
        return "It has been deprovisioned."
    if resource.suspended_at is not None:
        return "It is suspended: resume it first."
    if not resource.has_tokens and resource.grant_sealed is None:
        return "Heroku has never given us tokens for this resource, so its apps could not get new ones."
    return rotation.why_no_rotation(resource)


ROTATE: Final = Action(
    id="rotate",
    title="Rotate credentials",
    role=Role.OPERATOR,
    why_not=_why_no_rotation,
    foretell=_foretell_rotation,
    run=_rotate,
    is_for_many=True,
    change=_ROTATION,
)


def _why_no_retirement(_context: Context, resource: Resource) -> str | None:
    return rotation.why_no_retirement(resource)


async def _foretell_retirement(context: Context, resource: Resource) -> str:
    sentence = f"The previous credentials of {resource.name} stop working at once, and what uses them is cut off."
    in_use = await credentials_in_use(context, resource)
    if in_use is None:
        return f"{sentence} Nobody can tell whether anything uses them now."
    number = sum(clients for generation, clients in in_use.items() if generation < resource.generation)
    newest = in_use.get(resource.generation, 0)
    return (
        f"{sentence} At this moment {_connections(number)} on the previous ones and {_connections(newest)} on the new."
    )


def _connections(number: int) -> str:
    return {0: "no connection is", 1: "1 connection is"}.get(number, f"{number} connections are")


async def _retire(context: Context, uuid: UUID, order: Order) -> str:
    await rotation.retire_now(context, uuid, **order.signature)
    return "The previous credentials stop working within moments."


RETIRE_NOW: Final = Action(
    id="retire-now",
    title="Retire previous credentials now",
    role=Role.OPERATOR,
    why_not=_why_no_retirement,
    foretell=_foretell_retirement,
    run=_retire,
    is_for_many=True,
)


def _why_no_refresh(_context: Context, resource: Resource) -> str | None:
    if resource.is_gone:
        return "It has been deprovisioned, and its tokens are forgotten."
    if not resource.has_tokens and resource.state is not State.PROVISIONED:
        return "It is being provisioned, and Heroku has given us no tokens for it yet."
    return None


async def _foretell_refresh(_context: Context, resource: Resource) -> str:
    if not resource.has_tokens:
        return (
            f"Heroku is asked for another grant for {resource.name}, and for tokens in exchange. It gives one to "
            "partners whom it has allowed that. The customer notices nothing."
        )
    return (
        f"Heroku is asked for a new access token of {resource.name}, whatever is left of the present one. "
        "The customer notices nothing."
    )


async def _refresh(context: Context, uuid: UUID, order: Order) -> str:
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        record_order(context, session, uuid, order, "token_refresh_requested", "A new access token is asked for")
        token = resource.open(context.keys, "access_token")
    try:
        await fresh_access_token(context, uuid, unlike=token)
    except Unauthorized:
        raise Refused(
            "Heroku does not accept the refresh token, and gives no other grant. If this is so for every resource, "
            "HEROKU_CLIENT_SECRET is wrong."
        ) from None
    except Retry as retry:
        raise Refused(f"It did not succeed now, please try again: {retry}.") from None
    return "Heroku has given a new access token."


REFRESH_TOKEN: Final = Action(
    id="refresh-token",
    title="Refresh access token",
    role=Role.SUPPORT,
    why_not=_why_no_refresh,
    foretell=_foretell_refresh,
    run=_refresh,
)
