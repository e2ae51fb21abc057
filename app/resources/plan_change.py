"""Moving a resource to another plan, while Heroku waits for the answer.

A driver that is slow gets its time in the background: the row has the new plan then, and `service_plan` is the one that
the driver has agreed to last. If it refuses in the end, the row goes back to that one.
"""

import asyncio
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.drivers.base import Provisioned, ResourceInfo
from app.errors import Gone, Refused
from app.plans import Plan
from app.resources.lifecycle import (
    HEROKU,
    PROGRAM,
    Answer,
    locked,
    record_service,
    refuse_withdrawn,
    request_deadline,
    tell,
)
from app.resources.models import Resource, State

_log = structlog.get_logger(__name__)


async def change_plan(context: Context, uuid: UUID, name: str) -> Answer:
    """Move a resource to the plan `name`. The plan it already has is fine: Heroku repeats itself.

    Raises:
        Refused: no such plan, or the driver says that this resource does not fit it. Nothing has changed then.
        Gone: no such resource.
    """
    deadline = request_deadline()
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Gone
        plan = _plan_to_change_to(context, resource, name)
        if resource.plan == name:
            _log.info("plan change to the plan it has", resource=str(uuid), plan=name)
            return Answer(uuid=uuid, config=_known_config(context, resource))
        await refuse_withdrawn(session, name)
        if resource.state is State.PROVISIONING:
            await _record_plan(context, session, resource, name)
            await context.queue.enqueue(session, "settle", uuid, at_most_one=True)
            return Answer(uuid=uuid, message=f"Your add-on is being provisioned with the {name} plan.")
        resource.unsettled_since = context.clock()
        wanted = resource.info(context.keys, plan=name)
    try:
        async with asyncio.timeout_at(deadline):
            with context.watch.driver_call(plan.name, "change_plan"):
                provisioned = await plan.driver.change_plan(wanted)
    except Refused:
        await _settle_later(context, uuid)
        raise
    except Exception as error:  # noqa: BLE001 - whatever it was, the background tries again
        _log.warning("a plan change goes on in the background", resource=str(uuid), reason=repr(error))
        await _settle_later(context, uuid, plan=name)
        return Answer(uuid=uuid, message=f"Your add-on is being moved to the {name} plan.")
    return await _plan_changed(context, wanted, provisioned)


def _plan_to_change_to(context: Context, resource: Resource, name: str) -> Plan:
    plan = context.plans.get(name)
    if plan is None or (plan.is_withdrawn and resource.plan != name):
        raise Refused(f"There is no plan named {name[:60]!r} to change to. Your plan stays as it is.")
    if type(plan.driver) is not type(context.plans[resource.plan].driver):
        raise Refused(f"A {resource.plan} add-on cannot be changed to {name}. Please install {name} beside it.")
    return plan


def plans_to_move_to(context: Context, resource: Resource) -> list[str]:
    """The other plans that the same kind of driver makes; also those that are no longer sold."""
    present = context.plans[resource.plan]
    return [
        plan.name
        for plan in context.plans.values()
        if plan.name != present.name and type(plan.driver) is type(present.driver)
    ]


async def move_plan(
    context: Context, uuid: UUID, name: str, actor: str, *, operator_id: UUID | None = None, reason: str | None = None
) -> None:
    """Put a resource on the plan `name` here, whatever Heroku knows of it; the service follows in the background.

    If the driver refuses then, the plan goes back.

    Raises:
        Refused: it is not provisioned, or cannot be on that plan.
        Gone: no such resource.
    """
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Gone
        if resource.state is not State.PROVISIONED:
            raise Refused("Only a provisioned resource can be moved to another plan.")
        if name not in plans_to_move_to(context, resource):
            raise Refused(f"It cannot be moved to the plan {name[:60]!r}.")
        text = f"Plan changed from {resource.plan} to {name} by support"
        await tell(
            context,
            session,
            uuid,
            context.clock(),
            "plan_moved",
            actor,
            text,
            operator_id=operator_id,
            reason=reason,
            plan_before=resource.plan,
            plan_after=name,
        )
        resource.plan = name
        await context.queue.enqueue(session, "settle", uuid, at_most_one=True)


async def take_back_move(
    context: Context, session: AsyncSession, resource: Resource, refusal: str | None = None
) -> None:
    """End a move to which the driver has not agreed: the resource is on the plan again that its service is on.

    Heroku cannot be told. If the move was Heroku's, it goes on listing the other plan, which operators are shown.

    Args:
        context: as everywhere.
        session: its transaction.
        resource: locked; one that is not moving, or has no plan to go back to, is left alone.
        refusal: the driver's sentence for the customer, if it gave one.
    """
    wanted, kept = resource.plan, resource.service_plan
    if resource.state is not State.PROVISIONED or kept is None or kept == wanted or kept not in context.plans:
        return
    text = f"The add-on could not be moved to the {wanted} plan and is on the {kept} plan again. "
    text += refusal or "Please try again or contact support."
    now = context.clock()
    kind = "plan_change_failed"
    await tell(context, session, resource.uuid, now, kind, PROGRAM, text, plan_before=wanted, plan_after=kept)
    resource.plan = kept
    # What was tried may have left the service on the terms of either.
    await context.queue.enqueue(session, "settle", resource.uuid, at_most_one=True)
    await context.queue.enqueue(session, "read_app", resource.uuid, at_most_one=True, priority=-2)


async def _plan_changed(context: Context, wanted: ResourceInfo, provisioned: Provisioned) -> Answer:
    async with context.database.transaction() as session:
        resource = await locked(session, wanted.uuid)
        if not resource.is_gone:
            await _record_plan(context, session, resource, wanted.plan)
            # Another change may have been at work meanwhile: applying the recorded plan once more settles which won.
            await context.queue.enqueue(session, "settle", wanted.uuid, at_most_one=True)
        was_behind = resource.needs_push
        if await record_service(context, session, resource, provisioned, wanted):
            if was_behind:  # an older config may be on its way and arrive after this answer: push this one after it
                await context.queue.enqueue(session, "push_config", wanted.uuid)
            else:
                resource.pushed_version = resource.config_version  # Heroku takes it from this answer
    if resource.is_gone:
        raise Gone
    message = provisioned.message or f"Your add-on is on the {wanted.plan} plan now."
    return Answer(uuid=wanted.uuid, config=resource.config(context.keys), message=message)


async def _settle_later(context: Context, uuid: UUID, *, plan: str | None = None) -> None:
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if plan is not None and not resource.is_gone:
            await _record_plan(context, session, resource, plan)
        await context.queue.enqueue(session, "settle", uuid, at_most_one=True)


async def _record_plan(context: Context, session: AsyncSession, resource: Resource, name: str) -> None:
    text = f"Plan changed from {resource.plan} to {name}"
    is_counted = resource.state is State.PROVISIONED
    await tell(
        context,
        session,
        resource.uuid,
        context.clock(),
        "plan_changed",
        HEROKU,
        text,
        plan_before=resource.plan if is_counted else None,
        plan_after=name if is_counted else None,
    )
    resource.plan = name


def _known_config(context: Context, resource: Resource) -> dict[str, str] | None:
    return resource.config(context.keys) if resource.state is State.PROVISIONED else None
