"""Suspension: the service lets nobody in until it is resumed, whatever else happens to the resource meanwhile."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from httpx2 import Response
from lives import install, installed, url_in
from rig import Rig
from workshop import CONFIG_VAR, Gate, Workshop

from app.errors import Gone, Refused, Retry
from app.resources import outcomes, rotation, suspension
from app.resources.sweep import enqueue_measurements

GRACE = "operator@acme.example"


@pytest.fixture
async def sold(shop_rig: Rig) -> tuple[Rig, UUID, str]:
    """The rig, a resource that is ready, and the URL that opens it."""
    app, addon = await installed(shop_rig)
    return shop_rig, UUID(addon.id), url_in(shop_rig, app)


async def suspend(rig: Rig, uuid: UUID) -> None:
    await suspension.suspend(rig.context, uuid, GRACE)


async def resume(rig: Rig, uuid: UUID) -> None:
    await suspension.resume(rig.context, uuid, GRACE)


async def begin_a_plan_change(rig: Rig, uuid: UUID, workshop: Workshop) -> tuple[Gate, asyncio.Task[Response]]:
    """Heroku asks for it, and the driver is at work on it until the gate is opened."""
    gate = workshop.hold("change_plan")
    change = asyncio.create_task(rig.heroku.put(f"/{uuid}", json={"plan": "premium"}))
    await gate.arrived.wait()
    return gate, change


async def test_nobody_is_let_in_until_it_is_resumed_and_then_with_the_same_credential(sold, workshop: Workshop):
    rig, uuid, url = sold
    await suspend(rig, uuid)
    await rig.work()
    assert not workshop.accepts(url)
    assert (await rig.resource(uuid)).suspended_at == rig.clock()
    assert (await rig.config(uuid))[CONFIG_VAR] == url
    await resume(rig, uuid)
    await rig.work()
    assert workshop.accepts(url)
    assert (await rig.resource(uuid)).suspended_at is None
    assert (await rig.events(uuid))[-2:] == ["suspended", "resumed"]
    assert await rig.jobs() == []


async def test_it_is_suspended_once_and_resumed_once(sold):
    rig, uuid, _ = sold
    with pytest.raises(Refused, match="not suspended"):
        await resume(rig, uuid)
    await suspend(rig, uuid)
    with pytest.raises(Refused, match="suspended already"):
        await suspend(rig, uuid)
    await resume(rig, uuid)
    with pytest.raises(Refused, match="not suspended"):
        await resume(rig, uuid)


async def test_what_is_still_provisioned_or_gone_or_unknown_is_not_suspended(shop_rig: Rig):
    _, addon = await install(shop_rig, "standard")
    with pytest.raises(Refused, match="Only a provisioned resource"):
        await suspend(shop_rig, UUID(addon.id))
    await shop_rig.heroku.delete(f"/{addon.id}")
    for uuid in (UUID(addon.id), UUID(int=7)):
        with pytest.raises(Gone):
            await suspend(shop_rig, uuid)
        with pytest.raises(Gone):
            await resume(shop_rig, uuid)


async def test_a_rotation_is_refused_meanwhile_and_one_that_had_begun_opens_nothing(sold, workshop: Workshop):
    rig, uuid, url = sold
    await rotation.rotate(rig.context, uuid, "ada@example.com")
    await suspend(rig, uuid)
    await rig.work()
    new = (await rig.config(uuid))[CONFIG_VAR]
    assert new != url
    assert not workshop.accepts(url)
    assert not workshop.accepts(new)
    rig.clock.forward(hours=2)
    await rig.sweep()
    assert not (await rig.resource(uuid)).is_rotating
    with pytest.raises(Refused, match="suspended"):
        await rotation.rotate(rig.context, uuid, "ada@example.com")
    await resume(rig, uuid)
    await rig.work()
    assert workshop.accepts(new)


async def test_a_plan_change_is_done_and_opens_nothing(sold, workshop: Workshop):
    rig, uuid, url = sold
    await suspend(rig, uuid)
    await rig.work()
    assert (await rig.heroku.put(f"/{uuid}", json={"plan": "premium"})).status_code == 200
    await rig.work()
    assert workshop.things[uuid].plan == "premium"
    assert not workshop.accepts(url)
    await resume(rig, uuid)
    await rig.work()
    assert workshop.accepts(url)


async def test_a_plan_change_that_is_under_way_as_it_is_suspended_does_not_open_it(sold, workshop: Workshop):
    rig, uuid, url = sold
    gate, change = await begin_a_plan_change(rig, uuid, workshop)
    await suspend(rig, uuid)
    await rig.work()
    assert not workshop.accepts(url)
    gate.open()
    assert (await change).status_code == 200
    await rig.work()
    assert workshop.things[uuid].plan == "premium"
    assert not workshop.accepts(url)


async def test_a_plan_change_that_is_under_way_as_it_is_resumed_does_not_close_it(sold, workshop: Workshop):
    rig, uuid, url = sold
    await suspend(rig, uuid)
    await rig.work()
    gate, change = await begin_a_plan_change(rig, uuid, workshop)
    await resume(rig, uuid)
    await rig.work()
    gate.open()
    await change
    await rig.work()
    assert workshop.accepts(url)


async def test_it_goes_before_whatever_waits_for_the_resource(sold, workshop: Workshop):
    rig, uuid, url = sold
    workshop.trouble["rotate"] = [Retry("busy", after=timedelta(hours=1))]
    await rotation.rotate(rig.context, uuid, "ada@example.com")
    await rig.work()
    await suspend(rig, uuid)
    await rig.work()
    assert not workshop.accepts(url)


@pytest.mark.parametrize("trouble", [RuntimeError("a bug"), Refused("no"), Retry("busy")])
async def test_the_operators_word_holds_however_often_the_driver_fails(sold, workshop: Workshop, trouble):
    rig, uuid, url = sold
    workshop.trouble["suspend"] = [trouble] * (outcomes.PATIENCE + 2)
    await suspend(rig, uuid)
    await rig.work(rounds=outcomes.PATIENCE + 2)
    assert workshop.accepts(url)
    resource = await rig.resource(uuid)
    assert resource.suspension_waits_since == rig.clock()
    # Waiting is no failure; anything else counts, however politely the driver says it.
    assert resource.failures == (0 if isinstance(trouble, Retry) else outcomes.PATIENCE + 2)
    await rig.work()
    assert not workshop.accepts(url)
    resource = await rig.resource(uuid)
    assert (resource.suspension_waits_since, resource.failures) == (None, 0)
    workshop.trouble["resume"] = [trouble] * (outcomes.PATIENCE + 2)
    await resume(rig, uuid)
    await rig.work(rounds=outcomes.PATIENCE + 3)
    assert workshop.accepts(url)
    assert await rig.jobs() == []


@pytest.mark.parametrize("is_after", [False, True])
async def test_a_call_that_is_cut_off_is_made_again(sold, workshop: Workshop, is_after):
    rig, uuid, url = sold
    gate = workshop.hold("suspend", is_after=is_after)
    await suspend(rig, uuid)
    running = asyncio.create_task(outcomes.run_job(rig.context, "suspend_service", uuid))
    await gate.arrived.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await rig.work()
    assert not workshop.accepts(url)
    assert await rig.jobs() == []


@pytest.mark.parametrize("is_after", [False, True])
async def test_what_is_taken_back_while_the_driver_works_waits_until_that_is_done(sold, workshop: Workshop, is_after):
    rig, uuid, url = sold
    gate = workshop.hold("suspend", is_after=is_after)
    await suspend(rig, uuid)
    running = asyncio.create_task(rig.work())
    await gate.arrived.wait()
    rig.clock.forward(seconds=1)
    await resume(rig, uuid)
    workshop.trouble["resume"] = [Retry("busy")]
    gate.open()
    await running
    assert not workshop.accepts(url)
    assert (await rig.resource(uuid)).suspension_waits_since == rig.clock()
    await rig.work()
    assert workshop.accepts(url)
    assert (await rig.resource(uuid)).suspension_waits_since is None


async def test_a_suspension_that_a_plan_change_has_undone_waits_until_it_is_closed_again(sold, workshop: Workshop):
    rig, uuid, url = sold
    gate, change = await begin_a_plan_change(rig, uuid, workshop)
    await suspend(rig, uuid)
    await rig.work()
    assert (await rig.resource(uuid)).suspension_waits_since is None
    gate.open()
    assert (await change).status_code == 200
    assert workshop.accepts(url)
    assert (await rig.resource(uuid)).suspension_waits_since == rig.clock()
    await rig.work()
    assert not workshop.accepts(url)
    assert (await rig.resource(uuid)).suspension_waits_since is None


async def test_the_last_of_many_words_counts(sold, workshop: Workshop):
    rig, uuid, url = sold
    for _ in range(3):
        await suspend(rig, uuid)
        await resume(rig, uuid)
    await suspend(rig, uuid)
    await rig.work()
    assert not workshop.accepts(url)
    await resume(rig, uuid)
    await suspend(rig, uuid)
    await resume(rig, uuid)
    await rig.work()
    assert workshop.accepts(url)


async def test_measuring_goes_on_and_opens_nothing(sold, workshop: Workshop):
    rig, uuid, url = sold
    await suspend(rig, uuid)
    await rig.work()
    for used in (101, 101, 1):
        workshop.used = used
        rig.clock.forward(hours=2)
        await enqueue_measurements(rig.context)
        await rig.work()
    assert not workshop.things[uuid].is_read_only
    assert not workshop.accepts(url)


async def test_it_can_be_removed(sold, workshop: Workshop):
    rig, uuid, _ = sold
    await suspend(rig, uuid)
    assert (await rig.heroku.delete(f"/{uuid}")).status_code == 204
    await rig.work()
    assert workshop.things == {}
    resource = await rig.resource(uuid)
    assert resource.suspended_at is None
    assert resource.removed_at is not None


async def test_a_driver_that_cannot_suspend_is_not_asked_to(sold, monkeypatch):
    rig, uuid, _ = sold
    monkeypatch.setattr(Workshop, "can_suspend", property(lambda _: False))
    with pytest.raises(Refused, match="driver does not know how"):
        await suspend(rig, uuid)
