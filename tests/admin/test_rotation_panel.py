"""What operators read of the schedule of a plan, and of previous credentials that are kept."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from rig import Rig, key_plans, new_settings
from sqlalchemy import update

from app.commands.resource_facts import facts
from app.operations import batch_work, batches
from app.operations.credentials import RETIRE_NOW, ROTATE
from app.operations.inspection import inspect
from app.operators.roles import Actor, Role
from app.plans import by_name
from app.resources.models import Resource


@pytest.fixture
async def key_rig(database_url: str) -> AsyncIterator[Rig]:
    """As everywhere, except that `test` is rotated every thirty days."""
    scheduled = replace(key_plans(database_url)["test"], rotate_every=timedelta(days=30))
    async with Rig(new_settings(database_url), by_name(scheduled)).running() as rig:
        yield rig


async def change(rig: Rig, uuid: str, **values: object) -> None:
    async with rig.context.database.transaction() as session:
        await session.execute(update(Resource).where(Resource.uuid == UUID(uuid)).values(values))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"last_error": None}, "By the schedule of its plan they are rotated next"),
        ({"credentials_at": timedelta(days=-31)}, ": as soon as there is room."),
        (
            {"credentials_at": timedelta(days=-31), "tokens_refused_at": timedelta()},
            ": Heroku does not accept its tokens, so its apps could not get new credentials.",
        ),
        (
            {"credentials_at": timedelta(days=-31), "config_differs_at": timedelta()},
            ": Heroku has config vars that were never ours: they may be newer than what we would make.",
        ),
        (
            {
                "retire_at": timedelta(minutes=5),
                "retirement_waits_since": timedelta(),
                "retirement_waits_for": "clients",
            },
            "the old ones are still in use. They are retired when that has ended, at the latest",
        ),
        (
            {"retire_at": timedelta(hours=1), "retirement_waits_since": timedelta(), "retirement_waits_for": "heroku"},
            "Heroku does not tell that it has the new ones. It is asked again",
        ),
    ],
)
async def test_the_page_tells_when_and_what_it_waits_for(key_rig: Rig, panel_of, values, sentence):
    key_rig.simulator.world.create_app("shop")
    addon = await key_rig.simulator.calls.provision("shop", "test")
    await key_rig.work()
    times = {name: key_rig.clock() + value for name, value in values.items() if isinstance(value, timedelta)}
    await change(key_rig, addon.id, **values | times)
    panel = await panel_of(Role.VIEWER)
    page = await panel.http.get(f"/admin/resources/{addon.id}")
    assert page.status_code == 200
    assert sentence in " ".join(page.text.split())


async def test_scripts_are_told_the_same(key_rig: Rig):
    key_rig.simulator.world.create_app("shop")
    addon = await key_rig.simulator.calls.provision("shop", "test")
    await key_rig.work()
    told = await facts(key_rig.context, await inspect(key_rig.context, UUID(addon.id)))
    credentials_at = (await key_rig.resource(addon.id)).credentials_at
    assert told["credentials"]["next_rotation_at"] == credentials_at + timedelta(days=30)
    assert told["credentials"]["retirement_waits_for"] is None


async def test_the_price_list_tells_of_schedules(key_rig: Rig, panel_of):
    page = await (await panel_of(Role.VIEWER)).http.get("/admin/plans")
    told = " ".join(page.text.split())
    assert "Credentials of <strong>test</strong> are rotated by themselves every 30 days." in told


async def test_previous_credentials_of_many_are_retired_as_a_batch(key_rig: Rig):
    key_rig.simulator.world.create_app("shop")
    addons = [await key_rig.simulator.calls.provision("shop", "test") for _ in range(2)]
    await key_rig.work()
    olga = Actor(name="olga@acme.example", role=Role.OPERATOR)
    words = {"query": "state:provisioned", "parameters": {}, "reason": "They have leaked", "number": 2}
    for action in (ROTATE, RETIRE_NOW):
        await batches.order(key_rig.context, olga, action=action, **words)
        await batch_work.work(key_rig.context)
        await key_rig.work()
        await batch_work.work(key_rig.context)
    for addon in addons:
        resource = await key_rig.resource(addon.id)
        assert (resource.generation, resource.is_rotating) == (2, False)
        assert (await key_rig.events(addon.id))[-2:] == ["retirement_requested", "retired"]
