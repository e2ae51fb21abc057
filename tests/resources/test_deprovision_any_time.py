"""DELETE at every moment of a life: nothing is left behind, whatever was under way."""

import asyncio
from uuid import UUID

import pytest
from lives import assert_nothing_left, install, installed
from rig import Rig
from sqlalchemy import text
from workshop import Workshop

from app.errors import Gone, Refused
from app.resources import rotation
from app.resources.outcomes import run_job

CHAIN = ["exchange_grant", "provision_service", "push_config", "announce_provisioned"]


async def run_next_jobs(rig: Rig, names: list[str], uuid: str) -> None:
    """Run these jobs, which are next, and no others."""
    for name in names:
        await run_job(rig.context, name, UUID(uuid))
        async with rig.context.database.transaction() as session:
            await session.execute(
                text(
                    "DELETE FROM procrastinate_jobs WHERE id ="
                    " (SELECT min(id) FROM procrastinate_jobs WHERE task_name = :name AND status = 'todo')"
                ),
                {"name": name},
            )


@pytest.mark.parametrize("done", range(len(CHAIN) + 1))
async def test_between_any_two_jobs(shop_rig: Rig, workshop: Workshop, done: int):
    _, addon = await install(shop_rig, "standard")
    await run_next_jobs(shop_rig, CHAIN[:done], addon.id)
    await shop_rig.simulator.calls.deprovision(addon)
    assert await shop_rig.jobs() == [("deprovision_service", "todo")]
    await shop_rig.work()
    await assert_nothing_left(shop_rig, workshop, addon.id)


@pytest.mark.parametrize("job", CHAIN)
async def test_while_a_job_had_been_taken_but_not_begun(shop_rig: Rig, workshop: Workshop, job: str):
    _, addon = await install(shop_rig, "standard")
    await run_next_jobs(shop_rig, CHAIN[: CHAIN.index(job)], addon.id)
    await shop_rig.simulator.calls.deprovision(addon)
    await run_job(shop_rig.context, job, UUID(addon.id))
    await shop_rig.work()
    await assert_nothing_left(shop_rig, workshop, addon.id)
    assert not any("provision" in one.url.rsplit("/", 1)[-1] for one in shop_rig.simulator.world.exchanges)


@pytest.mark.parametrize("is_after", [False, True])
async def test_while_the_driver_makes_it_in_the_background(shop_rig: Rig, workshop: Workshop, *, is_after: bool):
    _, addon = await install(shop_rig, "standard")
    gate = workshop.hold("provision", is_after=is_after)
    work = asyncio.create_task(shop_rig.work())
    await gate.arrived.wait()
    await shop_rig.simulator.calls.deprovision(addon)
    gate.open()
    await work
    await shop_rig.work()
    await assert_nothing_left(shop_rig, workshop, addon.id)


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("removal_first", [False, True])
async def test_while_the_driver_makes_it_in_the_request(
    shop_rig: Rig, workshop: Workshop, *, is_after: bool, removal_first: bool
):
    gate = workshop.hold("provision", is_after=is_after)
    request = asyncio.create_task(install(shop_rig, "test"))
    await gate.arrived.wait()
    (addon,) = shop_rig.simulator.world.installed()
    assert (await shop_rig.heroku.delete(f"/{addon.id}")).status_code == 204
    if removal_first:
        await shop_rig.work()
    gate.open()
    await asyncio.gather(request, return_exceptions=True)
    await shop_rig.work()
    await assert_nothing_left(shop_rig, workshop, addon.id)


async def test_while_the_driver_makes_it_in_a_request_that_dies(shop_rig: Rig, workshop: Workshop):
    gate = workshop.hold("provision")
    request = asyncio.create_task(install(shop_rig, "test"))
    await gate.arrived.wait()
    (addon,) = shop_rig.simulator.world.installed()
    await shop_rig.heroku.delete(f"/{addon.id}")
    await shop_rig.work()
    await workshop.provision((await shop_rig.resource(addon.id)).info(shop_rig.context.keys))  # it still came to be
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    shop_rig.clock.forward(seconds=61)
    await shop_rig.sweep()
    await assert_nothing_left(shop_rig, workshop, addon.id)


@pytest.mark.parametrize("is_after", [False, True])
async def test_while_the_driver_changes_the_plan(shop_rig: Rig, workshop: Workshop, *, is_after: bool):
    _, addon = await installed(shop_rig)
    gate = workshop.hold("change_plan", is_after=is_after)
    request = asyncio.create_task(shop_rig.heroku.put(f"/{addon.id}", json={"plan": "premium"}))
    await gate.arrived.wait()
    await shop_rig.simulator.calls.deprovision(addon)
    await shop_rig.work()
    gate.open()
    assert (await request).status_code == 410
    await shop_rig.work()
    await assert_nothing_left(shop_rig, workshop, addon.id)


@pytest.mark.parametrize("verb", ["rotate", "retire", "usage", "change_plan"])
async def test_while_the_driver_is_busy_with_anything_else(shop_rig: Rig, workshop: Workshop, verb: str):
    _, addon = await installed(shop_rig)
    uuid = UUID(addon.id)
    if verb in {"rotate", "retire"}:
        await rotation.rotate(shop_rig.context, uuid, "ada@example.com")
    if verb == "retire":
        await shop_rig.work()
        await rotation.retire_now(shop_rig.context, uuid, "ada@example.com")
    if verb in {"usage", "change_plan"}:
        async with shop_rig.context.database.transaction() as session:
            job = {"usage": "measure_usage", "change_plan": "settle"}[verb]
            await shop_rig.context.queue.enqueue(session, job, uuid, at_most_one=True)
    gate = workshop.hold(verb, is_after=True)
    work = asyncio.create_task(shop_rig.work())
    await gate.arrived.wait()
    await shop_rig.simulator.calls.deprovision(addon)
    gate.open()
    await work
    await shop_rig.work()
    await assert_nothing_left(shop_rig, workshop, addon.id)


async def test_while_a_failure_is_being_reported(shop_rig: Rig, workshop: Workshop):
    _, addon = await install(shop_rig, "standard")
    workshop.trouble["provision"] = [Refused("No room.")]
    shop_rig.simulator.faults.add("error", direction="platform", path="/deprovision", count=2)
    await shop_rig.work()
    await shop_rig.simulator.calls.deprovision(addon)
    await shop_rig.work(rounds=2)
    await assert_nothing_left(shop_rig, workshop, addon.id)


async def test_a_driver_that_cannot_remove_it_is_asked_until_it_can(shop_rig: Rig, workshop: Workshop):
    _, addon = await installed(shop_rig)
    workshop.trouble["deprovision"] = [RuntimeError() for _ in range(11)] + [Refused("no")]
    await shop_rig.simulator.calls.deprovision(addon)
    await shop_rig.work(rounds=12)
    resource = await shop_rig.resource(addon.id)
    assert (resource.state, resource.removed_at) == ("deprovisioned", None)
    assert resource.last_error == "deprovision_service: no"
    await shop_rig.work()
    await assert_nothing_left(shop_rig, workshop, addon.id)


async def test_a_driver_may_say_that_it_is_gone_already(shop_rig: Rig, workshop: Workshop):
    _, addon = await installed(shop_rig)
    workshop.things.clear()
    workshop.trouble["deprovision"] = [Gone("There is no such thing.")]
    await shop_rig.simulator.calls.deprovision(addon)
    await shop_rig.work()
    await assert_nothing_left(shop_rig, workshop, addon.id)


async def test_nothing_is_done_for_a_resource_that_is_gone(shop_rig: Rig, workshop: Workshop):
    _, addon = await installed(shop_rig)
    await shop_rig.simulator.calls.deprovision(addon)
    await shop_rig.work()
    calls, ours = list(workshop.calls), len(shop_rig.simulator.world.exchanges)
    for job in [*CHAIN, "rotate_service", "retire_service", "report_failure", "measure_usage"]:
        await run_job(shop_rig.context, job, UUID(addon.id))
    shop_rig.clock.forward(days=3)
    await shop_rig.sweep()
    assert (workshop.calls, len(shop_rig.simulator.world.exchanges)) == (calls, ours)
    for verb in (rotation.rotate, rotation.retire_now):
        with pytest.raises(Gone):
            await verb(shop_rig.context, UUID(addon.id), "ada@example.com")
