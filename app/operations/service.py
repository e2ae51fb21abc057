"""Actions on the service of a resource that lives: suspend it, resume it, move it to another plan."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from app.context import Context
from app.operations.action import Action, Order, Parameter
from app.operators.roles import Role
from app.resources import plan_change, suspension
from app.resources.models import Resource, State


async def _foretell_suspension(_context: Context, resource: Resource) -> str:
    return (
        f"The service of {resource.name} lets nobody in any more: open connections end, and apps that use it get "
        "errors. What is stored stays, the config vars stay as they are, and Heroku goes on billing. The customer's "
        "dashboard says that it is suspended. Credentials cannot be rotated until it is resumed."
    )


async def _suspend(context: Context, uuid: UUID, order: Order) -> str:
    await suspension.suspend(context, uuid, **order.signature)
    return "It is being suspended: within moments nobody is let in."


SUSPEND: Final = Action(
    id="suspend",
    title="Suspend",
    role=Role.OPERATOR,
    why_not=suspension.why_no_suspension,
    foretell=_foretell_suspension,
    run=_suspend,
    is_grave=True,
    is_for_many=True,
)


def _why_no_resuming(_context: Context, resource: Resource) -> str | None:
    return "It is not suspended." if resource.suspended_at is None else None


async def _foretell_resuming(_context: Context, resource: Resource) -> str:
    return f"The service of {resource.name} lets in again whoever has its credentials, which are the same as before."


async def _resume(context: Context, uuid: UUID, order: Order) -> str:
    await suspension.resume(context, uuid, **order.signature)
    return "It is being resumed: it works again within moments."


RESUME: Final = Action(
    id="resume",
    title="Resume",
    role=Role.OPERATOR,
    why_not=_why_no_resuming,
    foretell=_foretell_resuming,
    run=_resume,
    is_for_many=True,
)


def _why_no_move(_context: Context, resource: Resource) -> str | None:
    if resource.state is not State.PROVISIONED:
        return "Only a provisioned resource can be moved to another plan."
    return None


async def _plans(context: Context, resource: Resource) -> Sequence[tuple[str, str]]:
    found = (context.plans[name] for name in plan_change.plans_to_move_to(context, resource))
    prices = ((plan, f"${plan.price_cents / 100:,.2f} a month" if plan.price_cents else "free") for plan in found)
    return [(plan.name, f"{plan.name} ({price})") for plan, price in prices]


async def _foretell_move(_context: Context, resource: Resource) -> str:
    return (
        f"{resource.name} is put from {resource.plan} on the plan you choose, on our side only: the service gets its "
        "terms in the background. Heroku is not told and bills what it has: do this when Heroku has moved the add-on "
        "already, or have Heroku's partner support move it too. If the driver refuses, for instance because what is "
        f"stored does not fit, the add-on goes back to {resource.plan} and its history says why."
    )


async def _move(context: Context, uuid: UUID, order: Order) -> str:
    plan = order.parameters["plan"]
    await plan_change.move_plan(context, uuid, plan, **order.signature)
    return f"It is being moved to the plan {plan}; if the driver refuses, it goes back to the one it has."


MOVE_PLAN: Final = Action(
    id="move-plan",
    title="Move to another plan",
    role=Role.OPERATOR,
    why_not=_why_no_move,
    foretell=_foretell_move,
    run=_move,
    is_grave=True,
    is_for_many=True,
    parameters=(
        Parameter(
            name="plan",
            label="New plan",
            choices=_plans,
            no_choices="There is no other plan that the same driver makes.",
        ),
    ),
)
