"""Actions on what opens the service and what opens Heroku: config, credentials, tokens."""

from typing import Final
from uuid import UUID

from app.context import Context
from app.errors import Gone, Refused
from app.operations.action import Action, Order
from app.operators.roles import Role
from app.resources.lifecycle import locked, record
from app.resources.models import Resource, State


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
        if resource.is_gone:
            raise Gone
        if resource.config_version == 0:
            raise Refused("There is no config yet.")
        resource.config_version += 1
        record(
            session,
            uuid,
            context.clock(),
            "push_requested",
            order.actor.name,
            "Config vars are sent to Heroku again",
            is_for_customer=False,
            operator_id=order.actor.operator_id,
            reason=order.reason,
        )
        await context.queue.enqueue(session, "push_config", uuid)
    return "The config vars are on their way to Heroku."


PUSH_CONFIG: Final = Action(
    id="push-config",
    title="Push config again",
    role=Role.SUPPORT,
    why_not=_why_no_push,
    foretell=_foretell_push,
    run=_push,
    is_for_many=True,
)
