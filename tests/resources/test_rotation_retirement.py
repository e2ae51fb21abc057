"""When previous credentials really stop: Heroku has the new ones, and nobody uses the old, or has for too long."""

from datetime import timedelta
from uuid import UUID

import pytest
from lives import exchanges, installed, url_in
from rig import Rig
from workshop import Workshop

from app.operations import alerts
from app.operations.action import perform
from app.operations.credentials import PUSH_CONFIG
from app.operations.healing import HEALER
from app.resources import retirement, rotation
from app.resources.models import Hold
from app.simulator.records import AddOn, App

ADA = "ada@example.com"


async def past_the_overlap(rig: Rig) -> tuple[App, AddOn, str]:
    """Rotated, and two hours later; nobody has looked yet. With the old URL."""
    app, addon = await installed(rig)
    old = url_in(rig, app)
    await rotation.rotate(rig.context, UUID(addon.id), ADA)
    await rig.work()
    rig.clock.forward(hours=2)
    return app, addon, old


def put_back(rig: Rig, addon: AddOn, url: str) -> None:
    """Heroku has what it had before, by its own mistake or somebody's."""
    addon.config["ACME_POSTGRES_URL"] = url
    rig.simulator.world.changed()


async def open_kinds(rig: Rig) -> list[str]:
    await alerts.check(rig.context)
    return [alert.kind for alert in await alerts.open_alerts(rig.context)]


async def test_credentials_in_use_are_kept_until_nobody_uses_them(shop_rig: Rig, workshop: Workshop):
    _, addon, old = await past_the_overlap(shop_rig)
    workshop.clients = {1: 3, 2: 5}
    for _ in range(4):
        await shop_rig.sweep()
        assert workshop.accepts(old)
        resource = await shop_rig.resource(addon.id)
        assert resource.retirement_waits_for == Hold.CLIENTS
        assert resource.retire_at == shop_rig.clock() + timedelta(minutes=5)
        shop_rig.clock.forward(minutes=5)
    workshop.clients = {1: 0, 2: 5}
    await shop_rig.sweep()
    assert not workshop.accepts(old)
    resource = await shop_rig.resource(addon.id)
    assert (resource.is_rotating, resource.retirement_waits_for, resource.retirement_waits_since) == (False, None, None)
    assert (await shop_rig.events(addon.id))[-3:] == ["config_pushed", "retirement_waits", "retired"]
    assert "retirement_waits" not in await open_kinds(shop_rig)


async def test_credentials_in_use_are_retired_after_a_day_all_the_same(shop_rig: Rig, workshop: Workshop):
    _, _, old = await past_the_overlap(shop_rig)
    workshop.clients = {1: 1}
    await shop_rig.sweep()
    shop_rig.clock.forward(hours=23, minutes=59)
    await shop_rig.sweep()
    assert workshop.accepts(old)
    shop_rig.clock.forward(minutes=5)
    await shop_rig.sweep()
    assert not workshop.accepts(old)


async def test_whoever_asks_for_it_does_not_wait_for_clients(shop_rig: Rig, workshop: Workshop):
    _, addon, old = await past_the_overlap(shop_rig)
    workshop.clients = {1: 1}
    await shop_rig.sweep()
    await rotation.retire_now(shop_rig.context, UUID(addon.id), ADA)
    await shop_rig.work()
    assert not workshop.accepts(old)
    assert (await shop_rig.resource(addon.id)).retirement_asked_at is None


async def test_clients_do_not_matter_to_a_driver_that_cannot_tell(shop_rig: Rig, workshop: Workshop):
    _, _, old = await past_the_overlap(shop_rig)
    await shop_rig.sweep()
    assert workshop.calls.count("in_use") == 1
    assert not workshop.accepts(old)


async def test_heroku_having_the_old_ones_gets_the_new_ones_again_before_anything_stops(
    shop_rig: Rig, workshop: Workshop
):
    app, addon, old = await past_the_overlap(shop_rig)
    new = url_in(shop_rig, app)
    put_back(shop_rig, addon, old)
    await shop_rig.sweep()
    assert url_in(shop_rig, app) == new
    shop_rig.clock.forward(hours=1, minutes=59)
    await shop_rig.sweep()
    assert workshop.accepts(old)
    shop_rig.clock.forward(minutes=1)
    await shop_rig.sweep()
    assert not workshop.accepts(old)
    assert workshop.accepts(url_in(shop_rig, app))


async def test_what_heroku_does_not_keep_is_sent_once_a_day_and_never_retired(shop_rig: Rig, workshop: Workshop):
    app, addon, old = await past_the_overlap(shop_rig)
    releases = len(app.releases)
    for _ in range(3 * 24):
        put_back(shop_rig, addon, old)
        await shop_rig.sweep()
        shop_rig.clock.forward(hours=1)
    assert workshop.accepts(old)
    assert len(app.releases) - releases == 3
    assert "retirement_waits" in await open_kinds(shop_rig)
    await rotation.retire_now(shop_rig.context, UUID(addon.id), ADA)
    await shop_rig.work()
    assert not workshop.accepts(old)
    assert "retirement_waits" not in await open_kinds(shop_rig)


@pytest.mark.parametrize("silence", ["error", "rate_limit"])
async def test_while_heroku_does_not_tell_nothing_stops_for_a_day(shop_rig: Rig, workshop: Workshop, silence):
    _, addon, old = await past_the_overlap(shop_rig)
    fault = {"direction": "platform", "path": "/config", "count": 100}
    shop_rig.simulator.faults.add(silence, **fault)
    await shop_rig.sweep()
    assert (await shop_rig.resource(addon.id)).retirement_waits_for == Hold.HEROKU
    assert await shop_rig.jobs() == []
    shop_rig.clock.forward(hours=23)
    await shop_rig.sweep()
    assert workshop.accepts(old)
    assert "retirement_waits" in await open_kinds(shop_rig)
    shop_rig.clock.forward(hours=1)
    await shop_rig.sweep()
    assert not workshop.accepts(old)


async def test_config_vars_that_were_never_ours_hold_it_back_for_a_day(shop_rig: Rig, workshop: Workshop):
    app, addon, old = await past_the_overlap(shop_rig)
    put_back(shop_rig, addon, "https://somebody-elses")
    await shop_rig.sweep()
    assert workshop.accepts(old)
    shop_rig.clock.forward(days=1)
    await shop_rig.sweep()
    assert not workshop.accepts(old)
    assert url_in(shop_rig, app) == "https://somebody-elses"


async def test_a_push_that_is_on_its_way_holds_it_back(shop_rig: Rig, workshop: Workshop):
    app, addon, old = await past_the_overlap(shop_rig)
    shop_rig.simulator.faults.add("error", direction="platform", path="/config", count=1)
    await perform(shop_rig.context, PUSH_CONFIG, UUID(addon.id), HEALER)
    await shop_rig.work()
    assert (await shop_rig.resource(addon.id)).needs_push
    await retirement.retire_service(shop_rig.context, UUID(addon.id))
    assert workshop.accepts(old)
    assert (await shop_rig.resource(addon.id)).retirement_waits_for == Hold.HEROKU
    await shop_rig.work()
    shop_rig.clock.forward(hours=1)
    await shop_rig.sweep()
    assert not workshop.accepts(old)
    assert workshop.accepts(url_in(shop_rig, app))


async def test_clients_are_counted_before_heroku_is_asked(shop_rig: Rig, workshop: Workshop):
    await past_the_overlap(shop_rig)
    workshop.clients = {1: 1}
    looks = len(exchanges(shop_rig, "platform", path="/config"))
    for _ in range(10):
        await shop_rig.sweep()
        shop_rig.clock.forward(minutes=5)
    assert len(exchanges(shop_rig, "platform", path="/config")) == looks
