"""`kill -9` for a real worker process in the middle of a batch: nothing is done twice, nothing is forgotten."""

from collections import Counter
from collections.abc import Awaitable, Callable
from uuid import UUID

import psycopg
import pytest
from killing import Scene, driver_lock, has_come, until
from lives import install, take_over, url_in
from rig import Rig

from app.operations import batch_progress, batches
from app.operations.actions import ACTIONS
from app.operations.models import BatchState
from app.operators.roles import Actor, Role

OPERATOR = Actor(name="olga@acme.example", role=Role.OPERATOR)


async def sold(rig: Rig, number: int) -> list[str]:
    """Databases on an app each, in the order in which a batch begins with them."""
    addons = [(await install(rig, "test", app=f"shop-{place}"))[1] for place in range(number)]
    await rig.work()
    return sorted(addon.id for addon in addons)


async def order(rig: Rig, action: str, number: int) -> UUID:
    return await batches.order(
        rig.context,
        OPERATOR,
        action=ACTIONS[action],
        query="state:provisioned",
        parameters={},
        reason="The old credentials have leaked",
        number=number,
    )


async def states(rig: Rig, batch_id: UUID) -> list[str]:
    """Of each resource, in the order of the batch."""
    found, _ = await batch_progress.items(rig.context, batch_id)
    return [item.state.value for item in found]


def is_over(rig: Rig, batch_id: UUID) -> Callable[[], Awaitable[bool]]:
    async def is_over() -> bool:
        return (await batch_progress.find(rig.context, batch_id)).batch.state is BatchState.DONE

    return is_over


def has_event(rig: Rig, uuid: str, kind: str) -> Callable[[], Awaitable[bool]]:
    async def has_event() -> bool:
        return kind in await rig.events(uuid)

    return has_event


def are(rig: Rig, batch_id: UUID, expected: str) -> Callable[[], Awaitable[bool]]:
    async def are() -> bool:
        return set(await states(rig, batch_id)) == {expected}

    return are


async def kill(scene: Scene) -> None:
    """Its jobs go back into the queue, as every worker sees to soon."""
    await scene.kill_worker()
    await take_over(scene.rig)


async def assert_rotated_once(scene: Scene, uuid: str) -> None:
    rig, name = scene.rig, f"addon_{uuid.replace('-', '')}"
    resource = await rig.resource(uuid)
    assert (resource.generation, resource.needs_push, resource.rotation_requested_at) == (2, False, None)
    events = Counter(await rig.events(uuid))
    assert [events[kind] for kind in ("rotation_requested", "rotated", "config_pushed")] == [1, 1, 1]
    # The owner, and a login for each generation.
    assert len(await scene.query(f"SELECT FROM pg_roles WHERE rolname ~ '{name}'")) == 3
    app = rig.simulator.world.apps[rig.simulator.world.addon(uuid).app_id]
    async with await psycopg.AsyncConnection.connect(url_in(rig, app)) as connection:
        await connection.execute("CREATE TABLE it_works ()")


async def test_at_each_step_of_a_batch_of_rotations(scene: Scene):
    rig = scene.rig
    uuids = await sold(rig, 3)
    batch_id = await order(rig, "rotate", 3)

    # The deed is done to the first, and not noted: it is not done then.
    async with scene.locked("SELECT FROM batch_items FOR UPDATE"):
        await scene.start_worker()
        await scene.until_waiting("UPDATE batch_items")
        await kill(scene)
    assert await states(rig, batch_id) == ["waiting"] * 3
    assert [(await rig.events(uuid)).count("rotation_requested") for uuid in uuids] == [0, 0, 0]

    # Somebody changes the others: it has begun with the first alone.
    async with scene.locked(f"SELECT FROM resources WHERE uuid IN ('{uuids[1]}', '{uuids[2]}') FOR UPDATE"):
        await scene.start_worker()
        await until(has_event(rig, uuids[0], "rotation_requested"), "the first is begun with")
        await kill(scene)
    assert (await states(rig, batch_id))[1:] == ["waiting", "waiting"]
    assert [(await rig.events(uuid)).count("rotation_requested") for uuid in uuids] == [1, 0, 0]

    # The driver makes the credentials of the second.
    async with scene.locked(driver_lock(uuids[1])):
        scene.heroku.hold(f"{uuids[2]}/config")
        await scene.start_worker()
        await scene.until_waiting("pg_advisory_lock")
        await until(has_come(scene.heroku.arrived), "the third is pushed")
        # The push of the third is on its way: Heroku takes it, and nobody is there to note that.
        await kill(scene)
    scene.heroku.go_on()
    assert (await states(rig, batch_id))[1:] == ["begun", "begun"]
    assert (await rig.resource(uuids[1])).generation == 1
    assert (await rig.resource(uuids[2])).needs_push

    # It notes what became of them.
    async with scene.locked("SELECT FROM batch_items FOR UPDATE"):
        await scene.start_worker()
        await scene.until_waiting("UPDATE batch_items")
        await kill(scene)
    assert "begun" in await states(rig, batch_id)

    # All are done, and it ends the batch.
    async with scene.locked("SELECT FROM batches FOR UPDATE"):
        await scene.start_worker()
        await until(are(rig, batch_id, "done"), "every resource is done")
        await scene.until_waiting("batches.id")
        await kill(scene)
    assert not await is_over(rig, batch_id)()

    await scene.start_worker()
    await until(is_over(rig, batch_id), "the batch is done")
    for uuid in uuids:
        await assert_rotated_once(scene, uuid)
    said = "SELECT kind FROM events WHERE kind LIKE 'batch%' ORDER BY id"
    assert await scene.query(said) == [("batch_ordered",), ("batch_done",)]
    assert await scene.query("SELECT FROM procrastinate_jobs WHERE queue_name = 'resources'") == []


@pytest.mark.parametrize("action", ["rotate", "suspend"])
async def test_again_and_again_wherever_it_happens_to_be(scene: Scene, action):
    rig = scene.rig
    uuids = await sold(rig, 6)
    batch_id = await order(rig, action, 6)
    marks = "SELECT FROM events WHERE kind IN ('rotation_requested', 'rotated', 'config_pushed', 'suspended')"
    for number in (1, 4, 8) if action == "rotate" else (1, 3):

        async def are_enough(number: int = number) -> bool:
            return len(await scene.query(marks)) >= number

        await scene.start_worker()
        await until(are_enough, f"{number} things have happened")
        await kill(scene)
    await scene.start_worker()
    await until(is_over(rig, batch_id), "the batch is done")
    assert await states(rig, batch_id) == ["done"] * 6
    for uuid in uuids:
        if action == "rotate":
            await assert_rotated_once(scene, uuid)
        else:
            assert (await rig.events(uuid)).count("suspended") == 1
            resource = await rig.resource(uuid)
            assert resource.suspension_waits_since is None
            app = rig.simulator.world.apps[rig.simulator.world.addon(uuid).app_id]
            with pytest.raises(psycopg.OperationalError):
                await psycopg.AsyncConnection.connect(url_in(rig, app))
