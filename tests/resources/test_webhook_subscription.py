"""Our subscription at Heroku: one for each resource, mended when it is missing, gone when it is not wanted."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest
from lives import install, installed
from rig import URL, Rig

from app.resources import lifecycle, webhook_subscription
from app.resources.models import Resource
from app.resources.webhook_subscription import INCLUDE, LOOKED_AT_EVERY, TRIED_AGAIN_AFTER
from app.simulator import apps
from app.simulator.webhooks import subscriptions as at_heroku
from app.simulator.webhooks.records import Webhook


@pytest.fixture
async def rig(make_rig) -> AsyncIterator[Rig]:
    async with make_rig(heroku_webhooks="true").running() as rig:
        yield rig


def of(rig: Rig, uuid: str) -> list[Webhook]:
    return [one for one in rig.simulator.world.webhooks.values() if one.scope_id == uuid]


async def look(rig: Rig) -> None:
    """The round that the worker makes every minute."""
    await webhook_subscription.enqueue_looks(rig.context)
    await rig.work()


def turn(rig: Rig, *, is_on: bool) -> None:
    """What a restart with the other setting does."""
    settings = rig.context.settings.model_copy(update={"heroku_webhooks": is_on})
    rig.app.state.context = replace(rig.context, settings=settings)


@pytest.mark.parametrize("plan", ["test", "standard"])
async def test_every_resource_subscribes_after_its_grant_with_a_secret_of_its_own(rig: Rig, plan: str):
    _, first = await install(rig, plan)
    _, second = await install(rig, plan, app="other")
    await rig.work()
    (one,), (other,) = of(rig, first.id), of(rig, second.id)
    assert one.url == f"{URL}/heroku/webhooks/{first.id}"
    assert (set(one.include), one.level) == (INCLUDE, "sync")
    resource = await rig.resource(first.id)
    assert resource.webhook_id == UUID(one.id)
    assert resource.open(rig.context.keys, "webhook_secret") == one.secret != other.secret
    assert len(one.secret) >= 40
    assert "webhook_subscribed" in await rig.events(first.id)
    assert await rig.jobs() == []


async def test_a_plan_in_the_background_is_ready_before_webhooks_are_asked_for(rig: Rig):
    await installed(rig, "standard")
    ours = [one.url.rpartition("/")[2] for one in rig.simulator.world.exchanges if one.direction == "platform"]
    assert ours.index("provision") < ours.index("webhooks")


async def test_what_happened_before_there_was_a_subscription_is_read_once_there_is_one(rig: Rig):
    rig.simulator.faults.add("error", direction="platform", path="/webhooks")
    app, addon = await installed(rig)
    assert of(rig, addon.id) == []
    apps.rename(rig.simulator.world, app, "shop-renamed", by=rig.simulator.world.customers[app.owner_id])
    rig.clock.now += TRIED_AGAIN_AFTER
    await look(rig)
    assert (await rig.resource(addon.id)).app_name == "shop-renamed"


async def test_nothing_is_subscribed_when_the_partner_does_not_want_it(key_rig: Rig):
    _, addon = await installed(key_rig)
    await look(key_rig)
    assert of(key_rig, addon.id) == []
    assert (await key_rig.resource(addon.id)).webhook_secret_sealed is None


async def test_resources_of_before_are_subscribed_when_it_is_turned_on_and_no_longer_when_it_is_turned_off(
    key_rig: Rig,
):
    _, addon = await installed(key_rig)
    turn(key_rig, is_on=True)
    await look(key_rig)
    assert len(of(key_rig, addon.id)) == 1

    turn(key_rig, is_on=False)
    key_rig.clock.now += LOOKED_AT_EVERY
    await look(key_rig)
    assert of(key_rig, addon.id) == []
    resource = await key_rig.resource(addon.id)
    assert (resource.webhook_id, resource.webhook_secret_sealed, resource.webhook_due_at) == (None, None, None)
    before = len(key_rig.simulator.world.exchanges)
    key_rig.clock.now += LOOKED_AT_EVERY
    await look(key_rig)
    assert len(key_rig.simulator.world.exchanges) == before


async def test_a_look_at_what_is_as_it_should_be_changes_nothing_and_comes_once_a_day(rig: Rig):
    _, addon = await installed(rig)
    before, events = dict(rig.simulator.world.webhooks), await rig.events(addon.id)
    looks = len(rig.simulator.world.exchanges)
    await look(rig)
    assert len(rig.simulator.world.exchanges) == looks
    rig.clock.now += LOOKED_AT_EVERY
    await look(rig)
    asked = [one.method for one in rig.simulator.world.exchanges[looks:] if one.direction == "platform"]
    assert asked == ["GET"]
    assert rig.simulator.world.webhooks == before
    assert [one for one in await rig.events(addon.id) if one.startswith("webhook")] == [
        one for one in events if one.startswith("webhook")
    ]


async def test_a_subscription_that_is_missing_is_made_again(rig: Rig):
    _, addon = await installed(rig)
    at_heroku.unsubscribe(rig.simulator.world, of(rig, addon.id)[0])
    rig.clock.now += LOOKED_AT_EVERY
    await look(rig)
    (webhook,) = of(rig, addon.id)
    resource = await rig.resource(addon.id)
    assert (str(resource.webhook_id), resource.open(rig.context.keys, "webhook_secret")) == (webhook.id, webhook.secret)
    assert (await rig.events(addon.id)).count("webhook_subscribed") == 2


async def test_a_subscription_that_somebody_has_changed_is_put_right_and_a_second_one_removed(rig: Rig):
    _, addon = await installed(rig)
    (webhook,) = of(rig, addon.id)
    webhook.include, webhook.level = ["api:release"], "notify"
    fields = {"include": ["api:app"], "level": "sync", "url": webhook.url}
    at_heroku.subscribe(rig.simulator.world, addon, fields)
    rig.clock.now += LOOKED_AT_EVERY
    await look(rig)
    (left,) = of(rig, addon.id)
    assert (left.id, set(left.include), left.level) == (webhook.id, INCLUDE, "sync")


async def test_subscriptions_that_others_made_for_other_addresses_are_left_alone(rig: Rig):
    _, addon = await installed(rig)
    fields = {"include": ["api:app"], "level": "sync", "url": "https://elsewhere.example.com/hook"}
    other, _ = at_heroku.subscribe(rig.simulator.world, addon, fields)
    rig.clock.now += LOOKED_AT_EVERY
    await look(rig)
    assert other in of(rig, addon.id)
    assert len(of(rig, addon.id)) == 2


async def test_an_answer_that_is_lost_leaves_one_subscription_that_is_ours(rig: Rig):
    rig.simulator.faults.add("lost_answer", direction="platform", method="POST", path="/webhooks")
    _, addon = await install(rig, "test")
    await rig.work()
    resource = await rig.resource(addon.id)
    assert resource.webhook_id is None
    assert resource.webhook_error == "Heroku could not be asked just now."
    rig.clock.now += TRIED_AGAIN_AFTER
    await look(rig)
    (webhook,) = of(rig, addon.id)
    resource = await rig.resource(addon.id)
    assert (str(resource.webhook_id), resource.webhook_error) == (webhook.id, None)
    assert resource.open(rig.context.keys, "webhook_secret") == webhook.secret


@pytest.mark.parametrize("status", [403, 404, 422, 429, 503])
async def test_whatever_heroku_answers_nothing_else_waits_for_it_and_it_is_tried_an_hour_later(rig: Rig, status: int):
    rig.simulator.faults.add("error", direction="platform", method="POST", path="/webhooks", status=status)
    _, addon = await install(rig, "test")
    await rig.work()
    assert await rig.jobs() == []
    resource = await rig.resource(addon.id)
    assert resource.webhook_error is not None
    assert (resource.failures, resource.last_error) == (0, None)
    await look(rig)
    assert of(rig, addon.id) == []
    rig.clock.now += TRIED_AGAIN_AFTER
    await look(rig)
    assert len(of(rig, addon.id)) == 1


async def test_two_jobs_make_one_subscription(rig: Rig):
    _, addon = await installed(rig)
    async with rig.context.database.transaction() as session:
        for _ in range(2):
            await rig.context.queue.enqueue(session, "keep_webhook", UUID(addon.id))
    await rig.work()
    assert len(of(rig, addon.id)) == 1


async def test_the_end_of_a_resource_ends_the_looks_at_its_subscription(rig: Rig):
    _, addon = await installed(rig)
    await lifecycle.deprovision(rig.context, UUID(addon.id))
    await rig.work()
    rig.clock.now += LOOKED_AT_EVERY * 2
    looks = len(rig.simulator.world.exchanges)
    await look(rig)
    assert len(rig.simulator.world.exchanges) == looks


async def test_a_subscription_that_a_restored_database_does_not_know_is_taken_over_with_a_new_secret(rig: Rig):
    _, addon = await installed(rig)
    (before,) = of(rig, addon.id)
    old_secret = before.secret
    async with rig.context.database.transaction() as session:
        resource = await session.get_one(Resource, UUID(addon.id))
        resource.webhook_id = resource.webhook_due_at = resource.webhook_secret_sealed = None
    await look(rig)
    (after,) = of(rig, addon.id)
    resource = await rig.resource(addon.id)
    assert (after.id, str(resource.webhook_id)) == (before.id, before.id)
    assert resource.open(rig.context.keys, "webhook_secret") == after.secret != old_secret
