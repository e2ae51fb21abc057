"""An operator's deeds without the panel: actions by name, and what the history keeps of them."""

from uuid import UUID

from rig import Rig
from sqlalchemy import select

from app.operations.action import Order, offer, perform
from app.operations.actions import ACTIONS
from app.operators.roles import Actor, Role
from app.resources.models import Resource
from app.resources.traces import Event
from app.simulator.records import AddOn, App

REASON = "The customer asked for it"


def actor(role: Role = Role.OWNER) -> Actor:
    return Actor(name="grace@acme.example", role=role)


async def installed(rig: Rig, plan: str = "test") -> tuple[App, AddOn]:
    """An add-on that is ready on a new app, and nothing waiting."""
    app = rig.simulator.world.create_app("shop")
    addon = await rig.simulator.calls.provision(app.name, plan)
    await rig.work()
    return app, addon


async def do(rig: Rig, action: str, uuid: str | UUID, *, role: Role = Role.OWNER, **parameters: str) -> str:
    """Perform an action; what it says it did."""
    order = Order(actor=actor(role), reason=REASON, parameters=parameters)
    return await perform(rig.context, ACTIONS[action], UUID(str(uuid)), order)


async def foretold(rig: Rig, action: str, uuid: str | UUID) -> str:
    return await ACTIONS[action].foretell(rig.context, await rig.resource(uuid))


async def why_not(rig: Rig, action: str, uuid: str | UUID) -> str | None:
    resource: Resource = await rig.resource(uuid)
    return (await offer(rig.context, ACTIONS[action], resource)).why_not


async def deeds(rig: Rig, uuid: str | UUID) -> list[Event]:
    """The events that operators caused, each with its reason, oldest first."""
    async with rig.context.database.transaction() as session:
        query = select(Event).where(Event.resource_uuid == UUID(str(uuid)), Event.reason.is_not(None))
        events = list(await session.scalars(query.order_by(Event.id)))
    assert {(event.actor, event.reason) for event in events} <= {("grace@acme.example", REASON)}
    return events
