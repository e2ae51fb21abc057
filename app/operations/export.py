"""All that a customer has stored, as a file: on request, also after the end as long as it is kept."""

from collections.abc import AsyncIterator
from uuid import UUID

from app.context import Context
from app.errors import Refused
from app.operations.action import Order, clean_reason
from app.operators.roles import Role
from app.resources.lifecycle import record
from app.resources.models import Resource, State


def why_no_export(context: Context, resource: Resource) -> str | None:
    """A sentence if nothing can be exported now, else None."""
    plan = context.plans.get(resource.plan)
    if plan is None:
        return f"Its plan {resource.plan} is not in the price list any more: put it back first."
    if not plan.driver.can_export:
        return "What its driver makes cannot be exported."
    if resource.state is State.PROVISIONING:
        return "It is still being provisioned."
    if resource.is_gone and (resource.kept_until is None or resource.kept_until <= context.clock()):
        return "Nothing of this service is kept any more."
    return None


async def export(context: Context, uuid: UUID, order: Order) -> AsyncIterator[bytes]:
    """The file in pieces. Who took it and why is remembered first; the customer sees that it was support.

    Raises:
        Refused: the role is too low, the reason is missing, or there is nothing to export.
        Retry: the service cannot give it now, or has broken off.
    """
    order.actor.need(Role.OPERATOR)
    order = Order(actor=order.actor, reason=clean_reason(order.reason))
    async with context.database.transaction() as session:
        resource = await session.get(Resource, uuid)
        if resource is None:
            raise Refused("There is no such resource.")
        if (why_not := why_no_export(context, resource)) is not None:
            raise Refused(why_not)
        text = "All that is stored was exported by support"
        record(session, uuid, context.clock(), "exported", text=text, **order.signature)
    async for piece in context.plans[resource.plan].driver.export(resource.info(context.keys)):
        yield piece
