"""`kill -9` for a real worker process at every boundary of the background work: nothing is lost, nothing made twice."""

from collections.abc import Awaitable, Callable

import psycopg
from killing import Scene, driver_lock, has_come, until
from lives import install, take_over, url_in

CALLS = {
    "exchange_grant": "/oauth/token",
    "provision_service": None,
    "push_config": "/config",
    "announce_provisioned": "/actions/provision",
}


async def assert_one_database(scene: Scene, uuid: str) -> None:
    name = f"addon_{uuid.replace('-', '')}"
    found = (
        f"SELECT 1 FROM pg_database WHERE datname = '{name}' UNION ALL SELECT 1 FROM pg_roles WHERE rolname ~ '{name}'"
    )
    assert len(await scene.query(found)) == 3  # the database, its owner and one login
    app = scene.rig.simulator.world.apps[scene.rig.simulator.world.addon(uuid).app_id]
    async with await psycopg.AsyncConnection.connect(url_in(scene.rig, app)) as connection:
        await connection.execute("CREATE TABLE it_works ()")
    assert len(app.releases) == 2
    assert (await scene.rig.events(uuid)).count("provisioned") == 1


async def assert_nothing(scene: Scene, uuid: str) -> None:
    name = f"addon_{uuid.replace('-', '')}"
    assert await scene.query(f"SELECT FROM pg_database WHERE datname = '{name}'") == []
    assert await scene.query(f"SELECT FROM pg_roles WHERE rolname ~ '{name}'") == []


async def test_as_the_call_of_each_job_begins(scene: Scene):
    _, addon = await install(scene.rig, "standard")
    for job, path in CALLS.items():
        if path is None:
            async with scene.locked(driver_lock(addon.id)):
                await scene.start_worker()
                await scene.until_waiting("pg_advisory_lock")
                await scene.kill_worker()
        else:
            scene.heroku.hold(path)
            await scene.start_worker()
            await until(has_come(scene.heroku.arrived), f"{job} calls Heroku")
            await scene.kill_worker()
            # A grant works once: had Heroku received it, nobody could exchange it again.
            scene.heroku.go_on(is_lost=job == "exchange_grant")
        assert (job, "doing") in await scene.rig.jobs()
        await take_over(scene.rig)
    await scene.start_worker()
    await until(_is_idle(scene, addon.id, "provisioned"), "it is provisioned")
    assert addon.state == "provisioned"
    await assert_one_database(scene, addon.id)


async def test_after_the_record_of_each_job_before_the_queue_knows(scene: Scene):
    _, addon = await install(scene.rig, "standard")
    for job, path in CALLS.items():
        lock_job = f"SELECT FROM procrastinate_jobs WHERE task_name = '{job}' AND status = 'doing' FOR UPDATE"
        if path is None:
            async with scene.locked(driver_lock(addon.id)) as let_driver_go:
                await scene.start_worker()
                await scene.until_waiting("pg_advisory_lock")
                async with scene.locked(lock_job):
                    await let_driver_go()
                    await scene.until_waiting("procrastinate_finish_job")
                    await scene.kill_worker()
        else:
            scene.heroku.hold(path)
            await scene.start_worker()
            await until(has_come(scene.heroku.arrived), f"{job} calls Heroku")
            async with scene.locked(lock_job):
                scene.heroku.go_on()
                await scene.until_waiting("procrastinate_finish_job")
                await scene.kill_worker()
        assert (job, "doing") in await scene.rig.jobs()
        await take_over(scene.rig)
    await scene.start_worker()
    await until(_is_idle(scene, addon.id, "provisioned"), "it is provisioned")
    await assert_one_database(scene, addon.id)


async def test_while_it_removes_and_the_next_worker_takes_over_by_itself(scene: Scene):
    _, addon = await install(scene.rig, "test")
    await scene.rig.simulator.calls.deprovision(addon)
    async with scene.locked(driver_lock(addon.id)):
        await scene.start_worker()
        await scene.until_waiting("pg_advisory_lock")
        await scene.kill_worker()
    await scene.start_worker()
    await until(_is_idle(scene, addon.id, "deprovisioned"), "it is removed")
    assert (await scene.rig.resource(addon.id)).removed_at is not None
    await assert_nothing(scene, addon.id)


def _is_idle(scene: Scene, uuid: str, state: str) -> Callable[[], Awaitable[bool]]:
    async def is_idle() -> bool:
        waiting = await scene.query("SELECT FROM procrastinate_jobs WHERE queue_name = 'resources'")
        return (await scene.rig.resource(uuid)).state == state and waiting == []

    return is_idle
