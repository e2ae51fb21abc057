"""An add-on to which all has happened that the panel tells: long names, failures, batches, differences, alerts."""

from collections.abc import Mapping
from uuid import UUID, uuid4

from rig import Rig
from sqlalchemy import update

from app.operations import batch_work, batches, exchanges, healing, reconciliation, sale, telling
from app.operations.action import Order, perform
from app.operations.actions import ACTIONS
from app.operations.models import Difference
from app.operators.roles import Actor, Role
from app.resources import webhooks
from app.resources.models import Resource
from app.resources.traces import WebhookEvent
from app.simulator.records import AddOn

OLGA = Actor(name="olga.with.a.rather.long.address@operations.acme-cloud-services.example", role=Role.OWNER)
WHY = "The customer asked for it in a long letter, and then once more on the telephone"
TROUBLE = "SSL connection has been closed unexpectedly: server closed the connection " + "x" * 90


async def make_busy(rig: Rig) -> Mapping[str, str]:
    """The ids of what there is, by what is remarkable about it."""
    context, calls, world = rig.context, rig.simulator.calls, rig.simulator.world
    app, other = world.create_app("shop-with-a-name-of-30-letters"), world.create_app("demo")
    fine, failing, suspended, gone, lost, moved = [
        await calls.provision((app if number % 2 else other).name, plan)
        for number, plan in enumerate(("test", "standard", "test", "test", "standard", "test"))
    ]
    await rig.work()
    rig.clock.forward(hours=2)
    await calls.change_plan(fine, "standard")
    await rig.work()
    await _change(rig, fine, owner_email=f"{'wilhelmina.' * 4}van.der.meer@subsidiary.of-a-customer.example")
    await _change(rig, failing, failures=7, last_error=TROUBLE, last_error_at=context.clock(), config_version=9)
    for addon, action in ((suspended, "suspend"), (fine, "rotate")):
        await perform(context, ACTIONS[action], UUID(addon.id), Order(actor=OLGA, reason=WHY))
    await rig.work()
    await calls.deprovision(gone)
    await rig.work()
    waiting = await calls.provision(app.name, "premium")
    await exchanges.write(context)
    await sale.withdraw(context, OLGA, "premium", "The plan premium is full. Please choose standard.", WHY)

    order = {"action": ACTIONS["push-config"], "parameters": {}, "reason": WHY}
    done = await batches.order(context, OLGA, query="plan:test", number=3, **order)
    await batch_work.work(context)
    await rig.work()
    await batch_work.work(context)
    running = await batches.order(context, OLGA, query="plan:standard state:provisioned", number=3, **order)
    await batches.pause(context, OLGA, running)

    await _tell(rig, fine)
    world.remove(lost, "in silence.")
    moved.plan = "premium"
    world.install(app, "test", name=None, options={}).state = "provisioned"
    run = await reconciliation.ask(context, OLGA)
    await reconciliation.run_asked(context)
    await healing.heal(context)
    await telling.watch(context)
    ids = {"fine": fine, "failing": failing, "suspended": suspended, "gone": gone, "lost": lost, "waiting": waiting}
    return {name: addon.id for name, addon in ids.items()} | {
        "batch": str(done),
        "paused": str(running),
        "run": str(run),
        "difference": str(next(one.id for one in await reconciliation.differences(context, run) if _is_open(one))),
    }


def _is_open(difference: Difference) -> bool:
    return difference.repair is not None and difference.repaired_at is None


async def _change(rig: Rig, addon: AddOn, **values: object) -> None:
    async with rig.context.database.transaction() as session:
        await session.execute(update(Resource).where(Resource.uuid == UUID(addon.id)).values(**values))


async def _tell(rig: Rig, addon: AddOn) -> None:
    """Webhooks of every kind and end, one of them with all that may be in it."""
    long = f"{'wilhelmina.' * 6}van.der.meer@subsidiary.of-a-customer.example"
    for number, (include, action, outcome) in enumerate(
        (
            ("api:app", "update", "The app was renamed from shop-with-a-name-of-30-letters to emporium."),
            ("api:addon", "destroy", None),
            ("api:addon-attachment", "create", "Heroku could not be asked just now."),
            ("api:addon", "update", "We have caused it ourselves."),
        )
    ):
        facts = {"name": "emporium", "owner": long, "name before": "shop", "changed": ["name", "owner"], "by": long}
        told = webhooks.Told(
            event_id=str(uuid4()),
            include=include,
            action=action,
            happened_at=rig.clock(),
            sequence=None,
            actor=None,
            changed=frozenset(),
            facts=facts,
        )
        for _ in range(1 + number):
            await webhooks.take(rig.context, UUID(addon.id), told)
        status = ("handled", "waiting", "failed", "ignored")[number]
        async with rig.context.database.transaction() as session:
            await session.execute(
                update(WebhookEvent)
                .where(WebhookEvent.event_id == told.event_id)
                .values(status=status, outcome=outcome, handled_at=rig.clock())
            )
