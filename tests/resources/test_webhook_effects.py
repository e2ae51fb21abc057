"""What happens at Heroku shows up on the resource, by webhooks that Heroku really sends: in any order, twice, late."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest
from lives import installed
from rig import Rig
from sqlalchemy import select

from app.operations.inspection import inspect
from app.resources import app_facts, webhooks
from app.resources.traces import Event, WebhookEvent
from app.simulator import apps, attaching
from app.simulator.records import AddOn, App


@pytest.fixture
async def rig(make_rig) -> AsyncIterator[Rig]:
    async with make_rig(heroku_webhooks="true").running() as rig:
        yield rig


@pytest.fixture
async def sold(rig: Rig) -> tuple[App, AddOn]:
    """A resource, and all that Heroku told of its beginning is done with."""
    app, addon = await installed(rig, "test")
    await told(rig)
    return app, addon


async def told(rig: Rig) -> None:
    """Heroku sends what is due; we do what follows."""
    await rig.simulator.catch_up()
    await rig.work()


async def lines(rig: Rig, addon: AddOn) -> list[str]:
    """What the history says of Heroku's news, oldest first."""
    async with rig.context.database.transaction() as session:
        query = select(Event.text).where(Event.resource_uuid == UUID(addon.id), Event.actor == "Heroku")
        return list(await session.scalars(query.where(~Event.is_for_customer).order_by(Event.id)))


async def events(rig: Rig, addon: AddOn) -> list[WebhookEvent]:
    async with rig.context.database.transaction() as session:
        query = select(WebhookEvent).where(WebhookEvent.resource_uuid == UUID(addon.id))
        return list(await session.scalars(query.order_by(WebhookEvent.id)))


def rename(rig: Rig, app: App, name: str) -> None:
    apps.rename(rig.simulator.world, app, name, by=rig.simulator.world.customers[app.owner_id])


def transfer(rig: Rig, app: App, email: str) -> None:
    world = rig.simulator.world
    app.owner_id = next(one.id for one in world.customers.values() if one.email == email)
    world.tell("app", "update", app, app)
    world.changed()


async def test_an_app_is_renamed(rig: Rig, sold):
    app, addon = sold
    rename(rig, app, "boutique")
    await told(rig)
    resource = await rig.resource(addon.id)
    assert resource.app_name == "boutique"
    assert resource.heroku_facts["attachments"] == [["boutique", "ACME_POSTGRES"]]
    assert await lines(rig, addon) == ["The app was renamed from shop to boutique"]
    assert (await events(rig, addon))[-1].outcome == "The app was renamed from shop to boutique."


async def test_an_app_gets_another_owner(rig: Rig, sold):
    app, addon = sold
    transfer(rig, app, "ben@example.com")
    await told(rig)
    assert (await rig.resource(addon.id)).owner_email == "ben@example.com"
    assert await lines(rig, addon) == ["The app went from ada@example.com to ben@example.com"]


async def test_an_add_on_is_renamed(rig: Rig, sold):
    _, addon = sold
    before = addon.name
    rig.simulator.world.rename_addon(addon, "orders-db")
    await told(rig)
    assert (await rig.resource(addon.id)).name == "orders-db"
    assert await lines(rig, addon) == [f"The add-on was renamed from {before} to orders-db"]


async def test_an_add_on_is_attached_to_another_app_and_detached(rig: Rig, sold):
    _, addon = sold
    world = rig.simulator.world
    other = world.create_app("reports")
    attachment = attaching.share(world, addon, other, "LEDGER")
    await told(rig)
    assert ["reports", "LEDGER"] in (await rig.resource(addon.id)).heroku_facts["attachments"]
    rename(rig, other, "books")
    await told(rig)
    attaching.detach(world, attachment)
    await told(rig)
    assert (await rig.resource(addon.id)).heroku_facts["attachments"] == [["shop", "ACME_POSTGRES"]]
    assert await lines(rig, addon) == ["Attached to reports as LEDGER", "Detached from books, where it was LEDGER"]


async def test_a_plan_that_only_heroku_has_changed_is_seen(rig: Rig, sold):
    _, addon = sold
    world = rig.simulator.world
    addon.plan = "premium"
    world.tell("addon", "update", addon, *world.apps_of(addon), addon=addon)
    world.changed()
    await told(rig)
    assert await lines(rig, addon) == ["At Heroku it is on the plan premium, here on test"]
    found = await inspect(rig.context, UUID(addon.id))
    assert "Heroku has it on the plan premium." in [trouble.text for trouble in found.troubles]


async def test_a_change_of_plan_that_heroku_asked_for_is_not_told_twice(rig: Rig, sold):
    _, addon = sold
    await rig.simulator.calls.change_plan(addon, "standard")
    await rig.work()
    await told(rig)
    assert (await rig.resource(addon.id)).heroku_facts["plan"] == "standard"
    assert await lines(rig, addon) == []


async def test_our_own_changes_start_nothing(rig: Rig, sold):
    _, addon = sold
    before = len(await events(rig, addon))
    world, email = rig.simulator.world, rig.simulator.calls.partner_email
    world.set_config(addon, {"ACME_POSTGRES_URL": "postgres://elsewhere.example.com/x"}, by_email=email)
    await rig.simulator.catch_up()
    assert await rig.jobs() == []
    found = await events(rig, addon)
    assert len(found) == before + 1
    assert (found[-1].status, found[-1].outcome) == ("ignored", "We have caused it ourselves.")


@pytest.mark.parametrize("fault", ["duplicate", "reorder", "lost_answer", "drop", "error", "rate_limit", "slow"])
async def test_news_that_come_twice_late_or_out_of_order_end_as_they_are_at_heroku(rig: Rig, sold, fault: str):
    app, addon = sold
    world = rig.simulator.world
    rig.simulator.faults.add(fault, direction="webhook", count=2, seconds=1)
    for name in ("boutique", "bazaar", "emporium"):
        rename(rig, app, name)
    other = world.create_app("reports")
    attaching.share(world, addon, other, "LEDGER")
    for _ in range(4):
        await told(rig)
        rig.clock.forward(hours=1)
    resource = await rig.resource(addon.id)
    assert resource.app_name == "emporium"
    assert sorted(resource.heroku_facts["attachments"]) == [["emporium", "ACME_POSTGRES"], ["reports", "LEDGER"]]
    history = await lines(rig, addon)
    assert history[-1].endswith("LEDGER") or history[-1].endswith("emporium")
    assert len(history) == len(set(history))
    assert {one.status for one in await events(rig, addon)} <= {"handled", "ignored"}
    assert len({one.event_id for one in await events(rig, addon)}) == len(await events(rig, addon))
    assert {one.status for one in world.webhook_deliveries.values()} == {"succeeded"}


async def test_many_events_at_once_are_one_question(rig: Rig, sold):
    app, addon = sold
    for number in range(10):
        rename(rig, app, f"shop-{number}")
    await rig.simulator.catch_up()
    assert await rig.jobs() == [("handle_webhooks", "todo")]
    before = len(rig.simulator.world.exchanges)
    await rig.work()
    assert len([one for one in rig.simulator.world.exchanges[before:] if one.direction == "platform"]) == 3
    assert await lines(rig, addon) == ["The app was renamed from shop to shop-9"]


async def test_the_answer_to_an_older_question_does_not_replace_that_to_a_newer_one(rig: Rig, sold):
    app, addon = sold
    uuid, asked_at = UUID(addon.id), rig.clock()
    rig.clock.forward(seconds=1)
    rename(rig, app, "boutique")
    await app_facts.refresh(rig.context, uuid)
    app.name = "shop"  # as it was when it was asked first
    assert await app_facts.refresh(replace(rig.context, clock=lambda: asked_at), uuid) == []
    assert (await rig.resource(uuid)).app_name == "boutique"
    assert await lines(rig, addon) == ["The app was renamed from shop to boutique"]


async def test_news_wait_while_heroku_cannot_be_asked(rig: Rig, sold):
    app, addon = sold
    rig.simulator.faults.add("error", direction="platform", method="GET")
    rename(rig, app, "boutique")
    await told(rig)
    assert [one.status for one in await events(rig, addon)][-1] == "waiting"
    await rig.work(rounds=2)
    assert [one.status for one in await events(rig, addon)][-1] == "handled"
    assert (await rig.resource(addon.id)).app_name == "boutique"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(404, "Heroku says that it does not know this resource."), (403, "Heroku answered 403")],
)
async def test_what_heroku_refuses_to_tell_is_put_away_as_failed(rig: Rig, sold, status: int, outcome: str):
    app, addon = sold
    rig.simulator.faults.add("error", direction="platform", method="GET", status=status)
    rename(rig, app, "boutique")
    await told(rig)
    last = (await events(rig, addon))[-1]
    assert last.status == "failed"
    assert outcome in last.outcome
    assert await rig.jobs() == []
    number = await webhooks.handle_again(
        rig.context, UUID(addon.id), [last.id], actor="grace@acme.example", operator_id=None, reason="Heroku is back"
    )
    await rig.work()
    assert number == 1
    assert (await events(rig, addon))[-1].status == "handled"
    assert (await rig.resource(addon.id)).app_name == "boutique"


async def test_the_end_of_a_resource_is_told_and_changes_nothing_more(rig: Rig, sold):
    _, addon = sold
    await rig.simulator.calls.deprovision(addon)
    for _ in range(3):
        await told(rig)
        rig.clock.forward(hours=1)
    assert {one.status for one in rig.simulator.world.webhook_deliveries.values()} == {"succeeded"}
    assert {one.status for one in await events(rig, addon)} <= {"handled", "ignored"}
    assert await rig.jobs() == []
