"""Rotation: both credentials work while releases roll out, then only the new one does."""

from datetime import timedelta
from uuid import UUID

import pytest
from lives import exchanges, install, installed, url_in
from rig import Rig
from workshop import CONFIG_VAR, Workshop

from app.drivers.base import Provisioned
from app.errors import Refused, Retry
from app.resources import outcomes, rotation

ADA = "ada@example.com"


async def rotate(rig: Rig, uuid: str) -> None:
    await rotation.rotate(rig.context, UUID(uuid), ADA)


async def test_the_old_credential_works_for_the_overlap_and_no_longer(shop_rig: Rig, workshop: Workshop):
    app, addon = await installed(shop_rig)
    old = url_in(shop_rig, app)
    await rotate(shop_rig, addon.id)
    await shop_rig.work()
    new = url_in(shop_rig, app)
    assert new != old
    assert (await shop_rig.resource(addon.id)).retire_at == shop_rig.clock() + timedelta(hours=2)
    shop_rig.clock.forward(hours=1, minutes=59)
    await shop_rig.sweep()
    assert workshop.accepts(old)
    assert workshop.accepts(new)
    shop_rig.clock.forward(minutes=1)
    await shop_rig.sweep()
    assert not workshop.accepts(old)
    assert workshop.accepts(new)
    assert (await shop_rig.events(addon.id))[-4:] == ["rotation_requested", "rotated", "config_pushed", "retired"]


async def test_the_overlap_begins_when_heroku_has_the_new_credential(shop_rig: Rig, workshop: Workshop):
    app, addon = await installed(shop_rig)
    old = url_in(shop_rig, app)
    await rotate(shop_rig, addon.id)
    shop_rig.simulator.faults.add("error", direction="platform", path="/config", count=2)
    await shop_rig.work()
    shop_rig.clock.forward(hours=5)
    await shop_rig.sweep()
    assert url_in(shop_rig, app) == old
    assert workshop.accepts(old)
    await shop_rig.work()
    assert url_in(shop_rig, app) != old
    await shop_rig.sweep()
    assert workshop.accepts(old)


async def test_the_old_credential_can_be_retired_at_once(shop_rig: Rig, workshop: Workshop):
    app, addon = await installed(shop_rig)
    old = url_in(shop_rig, app)
    await rotate(shop_rig, addon.id)
    await shop_rig.work()
    await rotation.retire_now(shop_rig.context, UUID(addon.id), ADA)
    await shop_rig.work()
    assert not workshop.accepts(old)
    assert workshop.accepts(url_in(shop_rig, app))


async def test_there_is_nothing_to_retire_before_heroku_has_the_new_credential(shop_rig: Rig):
    _, addon = await installed(shop_rig)
    for _ in range(2):
        with pytest.raises(Refused, match="no previous credentials"):
            await rotation.retire_now(shop_rig.context, UUID(addon.id), ADA)
        if await shop_rig.jobs() == []:
            await rotate(shop_rig, addon.id)


async def test_a_second_rotation_waits_for_the_end_of_the_first(shop_rig: Rig, workshop: Workshop):
    _, addon = await installed(shop_rig)
    await rotate(shop_rig, addon.id)
    with pytest.raises(Refused, match="still under way"):
        await rotate(shop_rig, addon.id)
    await shop_rig.work()
    with pytest.raises(Refused, match="still under way"):
        await rotate(shop_rig, addon.id)
    shop_rig.clock.forward(hours=2)
    await shop_rig.sweep()
    await rotate(shop_rig, addon.id)
    await shop_rig.work()
    assert (await shop_rig.resource(addon.id)).generation == 3
    assert workshop.things[UUID(addon.id)].generations == {2, 3}


async def test_a_resource_in_the_making_is_not_rotated(shop_rig: Rig):
    _, addon = await install(shop_rig, "standard")
    with pytest.raises(Refused, match="still being provisioned"):
        await rotate(shop_rig, addon.id)


async def test_several_changes_make_one_push(shop_rig: Rig):
    app, addon = await installed(shop_rig)
    shop_rig.simulator.faults.add("rate_limit", direction="platform", path="/config", seconds=60)
    await rotate(shop_rig, addon.id)
    await shop_rig.work()
    releases, pushes = len(app.releases), len(exchanges(shop_rig, "platform", path="/config"))
    for plan in ("standard", "premium"):
        assert (await shop_rig.heroku.put(f"/{addon.id}", json={"plan": plan})).status_code == 200
    await shop_rig.work()
    assert len(exchanges(shop_rig, "platform", path="/config")) == pushes + 1
    assert len(app.releases) == releases + 1
    assert url_in(shop_rig, app).startswith("https://2-")
    assert url_in(shop_rig, app).endswith("/premium")
    assert await shop_rig.jobs() == []


@pytest.mark.parametrize("trouble", [Retry("busy"), RuntimeError("a bug")])
async def test_a_driver_in_trouble_makes_the_same_credential_later(shop_rig: Rig, workshop: Workshop, trouble):
    app, addon = await installed(shop_rig)
    workshop.trouble["rotate"] = [trouble]
    await rotate(shop_rig, addon.id)
    await shop_rig.work()
    assert (await shop_rig.resource(addon.id)).generation == 1
    await shop_rig.work()
    assert (await shop_rig.resource(addon.id)).generation == 2
    assert url_in(shop_rig, app).startswith("https://2-")


@pytest.mark.parametrize("trouble", [[Refused("Not today.")], [RuntimeError() for _ in range(outcomes.PATIENCE)]])
async def test_a_rotation_that_is_given_up_keeps_the_credential_and_may_be_asked_for_again(
    shop_rig: Rig, workshop: Workshop, trouble
):
    app, addon = await installed(shop_rig)
    old = url_in(shop_rig, app)
    workshop.trouble["rotate"] = list(trouble)
    await rotate(shop_rig, addon.id)
    await shop_rig.work(rounds=len(trouble))
    assert await shop_rig.jobs() == []
    assert url_in(shop_rig, app) == old
    assert workshop.accepts(old)
    await rotate(shop_rig, addon.id)
    await shop_rig.work()
    assert url_in(shop_rig, app) != old


async def test_a_rotation_that_changes_no_config_var_still_comes_to_its_end(
    shop_rig: Rig, workshop: Workshop, monkeypatch
):
    _, addon = await installed(shop_rig)
    same = Provisioned(config={CONFIG_VAR: (await shop_rig.config(addon.id))[CONFIG_VAR]})

    async def keep(_resource: object) -> Provisioned:
        return same

    monkeypatch.setattr(workshop, "rotate", keep)
    await rotate(shop_rig, addon.id)
    await shop_rig.work()
    shop_rig.clock.forward(hours=2)
    await shop_rig.sweep()
    assert not (await shop_rig.resource(addon.id)).is_rotating


async def test_a_retirement_that_fails_is_never_given_up(shop_rig: Rig, workshop: Workshop):
    app, addon = await installed(shop_rig)
    old = url_in(shop_rig, app)
    await rotate(shop_rig, addon.id)
    await shop_rig.work()
    workshop.trouble["retire"] = [RuntimeError() for _ in range(outcomes.PATIENCE + 2)] + [Refused("no")]
    shop_rig.clock.forward(hours=2)
    await shop_rig.sweep()
    await shop_rig.work(rounds=outcomes.PATIENCE + 3)
    assert not workshop.accepts(old)
    assert not (await shop_rig.resource(addon.id)).is_rotating


async def test_a_sweep_each_minute_asks_for_one_retirement(shop_rig: Rig, workshop: Workshop):
    _, addon = await installed(shop_rig)
    await rotate(shop_rig, addon.id)
    await shop_rig.work()
    workshop.trouble["retire"] = [Retry("busy") for _ in range(5)]
    for _ in range(5):
        shop_rig.clock.forward(hours=2)
        await shop_rig.sweep()
    assert workshop.calls.count("retire") <= 5
    assert len(await shop_rig.jobs()) <= 2
    await shop_rig.work(rounds=6)
    assert await shop_rig.jobs() == []
    assert (await shop_rig.events(addon.id)).count("retired") == 1


async def test_without_heroku_ever_letting_us_push_no_new_credential_is_made(shop_rig: Rig, workshop: Workshop):
    app, addon = await install(shop_rig, "test")
    await rotate(shop_rig, addon.id)
    shop_rig.clock.forward(minutes=6)
    await shop_rig.work()
    assert (await shop_rig.events(addon.id))[-1] == "rotation_failed"
    assert workshop.things[UUID(addon.id)].generations == {1}
    assert url_in(shop_rig, app) == (await shop_rig.config(addon.id))[CONFIG_VAR]
    assert not (await shop_rig.resource(addon.id)).is_rotating
