"""What was deprovisioned is kept out of reach for the grace, can be restored or purged meanwhile, and then goes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from lives import assert_nothing_left, install, url_in
from rig import Rig, new_settings, provision_body
from workshop import CONFIG_VAR, Workshop

from app.errors import Gone, Refused, Retry
from app.plans import Plan, by_name
from app.resources import outcomes, removal

OPERATOR = "operator@acme.example"


@pytest.fixture
async def grace_rig(database_url: str, workshop: Workshop) -> AsyncIterator[Rig]:
    """The workshop's plans, with a grace of three days."""
    plans = by_name(Plan(name="test", driver=workshop, is_instant=True), Plan(name="standard", driver=workshop))
    async with Rig(new_settings(database_url, deprovision_grace="3d"), plans).running() as rig:
        yield rig


@pytest.fixture
async def ended(grace_rig: Rig) -> tuple[Rig, UUID, str]:
    """The rig, a resource that its customer has just removed, and the URL that opened it."""
    app, addon = await install(grace_rig, "test")
    await grace_rig.work()
    url = url_in(grace_rig, app)
    assert (await grace_rig.heroku.delete(f"/{addon.id}")).status_code == 204
    await grace_rig.work()
    return grace_rig, UUID(addon.id), url


async def restored(rig: Rig, uuid: UUID) -> str:
    """Restore it; the URL that opens it now."""
    await removal.restore(rig.context, uuid, OPERATOR)
    await rig.work()
    return (await rig.config(uuid))[CONFIG_VAR]


async def test_it_is_out_of_reach_at_once_and_removed_when_the_grace_is_over(ended, workshop: Workshop):
    rig, uuid, url = ended
    assert not workshop.accepts(url)
    assert uuid in workshop.set_aside_things
    resource = await rig.resource(uuid)
    assert resource.kept_until == rig.clock() + timedelta(days=3)
    assert (resource.removed_at, resource.config_sealed, resource.refresh_token_sealed) == (None, None, None)
    rig.clock.forward(days=3, seconds=-1)
    await rig.sweep()
    assert uuid in workshop.set_aside_things
    rig.clock.forward(seconds=1)
    await rig.sweep()
    await assert_nothing_left(rig, workshop, str(uuid))
    resource = await rig.resource(uuid)
    assert (resource.removed_at, resource.kept_until) == (rig.clock(), None)
    assert (await rig.events(uuid))[-3:] == ["deprovisioned", "set_aside", "removed"]
    assert workshop.calls.count("deprovision") == 1


async def test_heroku_is_told_that_it_is_gone_all_the_time(ended):
    rig, uuid, _ = ended
    await restored(rig, uuid)
    assert (await rig.heroku.post("", json=provision_body(uuid=str(uuid)))).status_code == 410
    assert (await rig.heroku.put(f"/{uuid}", json={"plan": "standard"})).status_code == 410
    assert (await rig.heroku.delete(f"/{uuid}")).status_code == 410
    await rig.work()
    assert (await rig.resource(uuid)).restored_at is not None


async def test_restored_it_has_another_credential_for_seven_days(ended, workshop: Workshop):
    rig, uuid, old = ended
    rig.clock.forward(days=2)
    new = await restored(rig, uuid)
    assert workshop.accepts(new)
    assert not workshop.accepts(old)
    assert (await rig.resource(uuid)).kept_until == rig.clock() + timedelta(days=7)
    with pytest.raises(Refused, match="restored already"):
        await removal.restore(rig.context, uuid, OPERATOR)
    rig.clock.forward(days=6)
    await rig.sweep()
    assert workshop.accepts(new)
    rig.clock.forward(days=1)
    await rig.sweep()
    await assert_nothing_left(rig, workshop, str(uuid))
    assert (await rig.events(uuid))[-3:] == ["restored", "brought_back", "removed"]


async def test_a_grace_that_is_longer_than_seven_days_stays(database_url: str, workshop: Workshop):
    plans = by_name(Plan(name="test", driver=workshop, is_instant=True))
    async with Rig(new_settings(database_url, deprovision_grace="30d"), plans).running() as rig:
        _, addon = await install(rig, "test")
        await rig.work()
        await rig.heroku.delete(f"/{addon.id}")
        ends_at = rig.clock() + timedelta(days=30)
        assert await removal.restore(rig.context, UUID(addon.id), OPERATOR) == ends_at


async def test_restored_before_it_was_set_aside_it_is_closed_and_opened_in_this_order(grace_rig: Rig, workshop):
    app, addon = await install(grace_rig, "test")
    await grace_rig.work()
    old = url_in(grace_rig, app)
    await grace_rig.heroku.delete(f"/{addon.id}")
    new = await restored(grace_rig, UUID(addon.id))
    assert workshop.accepts(new)
    assert not workshop.accepts(old)


async def test_purged_it_goes_at_once_restored_or_not(ended, workshop: Workshop):
    rig, uuid, _ = ended
    await restored(rig, uuid)
    await removal.purge(rig.context, uuid, OPERATOR)
    await rig.work()
    await assert_nothing_left(rig, workshop, str(uuid))
    for deed in (removal.purge, removal.restore):
        with pytest.raises(Refused, match="Nothing of this service is kept"):
            await deed(rig.context, uuid, OPERATOR)


async def test_a_purge_overtakes_a_restoring(ended, workshop: Workshop):
    rig, uuid, _ = ended
    await removal.restore(rig.context, uuid, OPERATOR)
    await removal.purge(rig.context, uuid, OPERATOR)
    await rig.work()
    await assert_nothing_left(rig, workshop, str(uuid))
    assert "bring_back" not in workshop.calls


async def test_what_lives_or_never_was_is_neither_restored_nor_purged(grace_rig: Rig):
    _, addon = await install(grace_rig, "test")
    with pytest.raises(Refused, match="Only a deprovisioned service"):
        await removal.restore(grace_rig.context, UUID(addon.id), OPERATOR)
    with pytest.raises(Refused, match="Nothing of this service is kept"):
        await removal.purge(grace_rig.context, UUID(addon.id), OPERATOR)
    for deed in (removal.purge, removal.restore):
        with pytest.raises(Gone):
            await deed(grace_rig.context, UUID(int=7), OPERATOR)


async def test_the_end_of_the_grace_is_the_end_of_restoring_even_before_the_sweep(ended):
    rig, uuid, _ = ended
    rig.clock.forward(days=3)
    with pytest.raises(Refused, match="Nothing of this service is kept"):
        await removal.restore(rig.context, uuid, OPERATOR)


@pytest.mark.parametrize("trouble", [[Refused("The disk is full.")], [RuntimeError()] * outcomes.PATIENCE])
async def test_a_restoring_that_is_given_up_closes_it_again_and_may_be_asked_for_again(ended, workshop, trouble):
    rig, uuid, _ = ended
    workshop.trouble["bring_back"] = list(trouble)
    await removal.restore(rig.context, uuid, OPERATOR)
    await rig.work(rounds=len(trouble))
    resource = await rig.resource(uuid)
    assert (resource.restored_at, resource.config_sealed) == (None, None)
    assert uuid in workshop.set_aside_things
    assert "restoring_failed" in await rig.events(uuid)
    assert workshop.accepts(await restored(rig, uuid))


async def test_setting_aside_is_never_given_up(grace_rig: Rig, workshop: Workshop):
    app, addon = await install(grace_rig, "test")
    await grace_rig.work()
    url = url_in(grace_rig, app)
    workshop.trouble["set_aside"] = [RuntimeError() for _ in range(outcomes.PATIENCE + 2)] + [Retry("busy")]
    await grace_rig.heroku.delete(f"/{addon.id}")
    await grace_rig.work(rounds=outcomes.PATIENCE + 4)
    assert not workshop.accepts(url)
    assert UUID(addon.id) in workshop.set_aside_things


async def cut_off(rig: Rig, workshop: Workshop, uuid: UUID, job: str, verb: str) -> None:
    """Run a job up to the end of its driver's call, as a worker does that dies before it can record."""
    gate = workshop.hold(verb, is_after=True)
    running = asyncio.create_task(outcomes.run_job(rig.context, job, uuid))
    await gate.arrived.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_calls_that_are_cut_off_are_made_again(grace_rig: Rig, workshop: Workshop):
    _, addon = await install(grace_rig, "test")
    uuid = UUID(addon.id)
    await grace_rig.work()
    await grace_rig.heroku.delete(f"/{uuid}")
    await cut_off(grace_rig, workshop, uuid, "deprovision_service", "set_aside")
    await grace_rig.work()
    assert "set_aside" in await grace_rig.events(uuid)
    await removal.restore(grace_rig.context, uuid, OPERATOR)
    await cut_off(grace_rig, workshop, uuid, "bring_back_service", "bring_back")
    await grace_rig.work()
    assert workshop.accepts((await grace_rig.config(uuid))[CONFIG_VAR])
    grace_rig.clock.forward(days=7)
    await cut_off(grace_rig, workshop, uuid, "deprovision_service", "deprovision")
    await grace_rig.sweep()
    await assert_nothing_left(grace_rig, workshop, addon.id)


async def test_a_plan_change_that_was_cut_off_by_the_end_leaves_nothing_in_reach(grace_rig: Rig, workshop: Workshop):
    app, addon = await install(grace_rig, "test")
    await grace_rig.work()
    url = url_in(grace_rig, app)
    gate = workshop.hold("change_plan", is_after=True)
    change = asyncio.create_task(grace_rig.heroku.put(f"/{addon.id}", json={"plan": "standard"}))
    await gate.arrived.wait()
    await grace_rig.heroku.delete(f"/{addon.id}")
    await grace_rig.work()
    gate.open()
    assert (await change).status_code == 410
    await grace_rig.work()
    assert not workshop.accepts(url)
    grace_rig.clock.forward(days=3)
    await grace_rig.sweep()
    await assert_nothing_left(grace_rig, workshop, addon.id)


async def test_what_was_never_ready_is_not_kept(grace_rig: Rig, workshop: Workshop):
    _, addon = await install(grace_rig, "standard")
    await grace_rig.heroku.delete(f"/{addon.id}")
    await grace_rig.work()
    await assert_nothing_left(grace_rig, workshop, addon.id)
    assert "set_aside" not in workshop.calls


async def test_what_its_driver_cannot_set_aside_is_removed_at_once(grace_rig: Rig, workshop: Workshop, monkeypatch):
    _, addon = await install(grace_rig, "test")
    await grace_rig.work()
    monkeypatch.setattr(Workshop, "can_set_aside", property(lambda _: False))
    await grace_rig.heroku.delete(f"/{addon.id}")
    await grace_rig.work()
    await assert_nothing_left(grace_rig, workshop, addon.id)
