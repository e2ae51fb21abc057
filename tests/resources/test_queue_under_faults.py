"""What keeps jobs moving: waiting twice, lost workers, and changes made while a job is about to begin."""

import asyncio
from datetime import timedelta
from uuid import UUID

from lives import installed, take_over
from rig import Rig
from sqlalchemy import text
from workshop import Workshop

from app.errors import Retry


async def enqueue(rig: Rig, job: str, uuid: str) -> None:
    async with rig.context.database.transaction() as session:
        await rig.context.queue.enqueue(session, job, UUID(uuid), at_most_one=True)


async def lose_worker(rig: Rig) -> None:
    """Leave the waiting jobs as a killed worker leaves what it was doing."""
    async with rig.context.database.transaction() as session:
        await session.execute(text("UPDATE procrastinate_jobs SET status = 'doing' WHERE status = 'todo'"))


async def test_a_job_asked_for_twice_waits_once(shop_rig: Rig):
    _, addon = await installed(shop_rig)
    await enqueue(shop_rig, "settle", addon.id)
    await enqueue(shop_rig, "settle", addon.id)
    assert await shop_rig.jobs() == [("settle", "todo")]


async def test_a_job_asked_for_again_while_it_runs_can_still_go_back_to_waiting(shop_rig: Rig, workshop: Workshop):
    _, addon = await installed(shop_rig)
    await enqueue(shop_rig, "settle", addon.id)
    gate = workshop.hold("change_plan")
    workshop.trouble["change_plan"] = [Retry("not now")]
    work = asyncio.create_task(shop_rig.work())
    await gate.arrived.wait()
    await enqueue(shop_rig, "settle", addon.id)
    gate.open()
    await work
    assert await shop_rig.jobs() == [("settle", "todo")] * 2
    await shop_rig.work()
    assert await shop_rig.jobs() == []


async def test_a_lost_workers_job_comes_back_although_the_same_job_waits_behind_it(shop_rig: Rig):
    _, addon = await installed(shop_rig)
    await enqueue(shop_rig, "settle", addon.id)
    await lose_worker(shop_rig)
    await enqueue(shop_rig, "settle", addon.id)
    await shop_rig.work()
    assert await shop_rig.jobs() == [("settle", "doing"), ("settle", "todo")]
    await take_over(shop_rig)
    await shop_rig.work()
    assert await shop_rig.jobs() == []


async def test_a_lost_workers_round_of_periodic_work_is_cleared_away(shop_rig: Rig):
    async with shop_rig.context.database.transaction() as session:
        for status in ("doing", "todo"):
            await session.execute(
                text(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, status, queueing_lock)"
                    f" VALUES ('periodic', 'sweep', '{status}', 'sweep')"
                )
            )
    await take_over(shop_rig)
    assert await shop_rig.jobs() == [("sweep", "todo")]


async def test_a_waiting_job_does_not_begin_before_the_change_that_counts_on_it_is_committed(
    shop_rig: Rig, workshop: Workshop
):
    _, addon = await installed(shop_rig)
    await enqueue(shop_rig, "settle", addon.id)
    calls = len(workshop.calls)
    async with shop_rig.context.database.transaction() as session:
        await shop_rig.context.queue.enqueue(session, "settle", UUID(addon.id), at_most_one=True)
        await session.execute(text("UPDATE resources SET plan = 'premium'"))
        async with asyncio.timeout(5):
            await shop_rig.work()
        assert len(workshop.calls) == calls
    await shop_rig.work()
    assert workshop.things[UUID(addon.id)].plan == "premium"


async def test_a_job_that_hangs_is_stopped_and_runs_again(shop_rig: Rig, workshop: Workshop, monkeypatch):
    _, addon = await installed(shop_rig)
    monkeypatch.setattr("app.resources.outcomes.LONGEST_RUN", timedelta(milliseconds=50))
    workshop.hold("change_plan")
    await enqueue(shop_rig, "settle", addon.id)
    await shop_rig.work()
    assert (await shop_rig.resource(addon.id)).last_error == "settle: TimeoutError in settle"
    await shop_rig.work()
    assert await shop_rig.jobs() == []
