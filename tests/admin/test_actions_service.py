"""Suspend, resume, and move to another plan, as operators do."""

from uuid import UUID

import psycopg
import pytest
from deeds import deeds, do, foretold, installed, why_not
from rig import Rig

from app.errors import Refused
from app.operators.roles import Role


async def works(rig: Rig, uuid: str) -> bool:
    """Whether the partner's service takes the key that the customer has."""
    url = rig.settings.database_url.get_secret_value().replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(url) as service:
        query = "SELECT FROM api_keys WHERE uuid = %s AND NOT is_suspended"
        return (await service.execute(query, (UUID(uuid),))).rowcount > 0


async def test_suspended_and_resumed(key_rig: Rig):
    _, addon = await installed(key_rig)
    assert "lets nobody in" in await foretold(key_rig, "suspend", addon.id)
    assert await why_not(key_rig, "resume", addon.id) == "It is not suspended."
    await do(key_rig, "suspend", addon.id, role=Role.OPERATOR)
    await key_rig.work()
    assert not await works(key_rig, addon.id)
    assert await why_not(key_rig, "suspend", addon.id) == "It is suspended already."
    assert await why_not(key_rig, "rotate", addon.id) == "It is suspended: resume it first."
    await do(key_rig, "resume", addon.id, role=Role.OPERATOR)
    await key_rig.work()
    assert await works(key_rig, addon.id)
    assert [event.kind for event in await deeds(key_rig, addon.id)] == ["suspended", "resumed"]


async def test_moved_to_another_plan_without_telling_heroku(key_rig: Rig):
    _, addon = await installed(key_rig)
    calls = len(key_rig.simulator.world.exchanges)
    assert "Heroku is not told" in await foretold(key_rig, "move-plan", addon.id)
    said = await do(key_rig, "move-plan", addon.id, role=Role.OPERATOR, plan="premium")
    assert "premium" in said
    await key_rig.work()
    assert (await key_rig.resource(addon.id)).plan == "premium"
    url = key_rig.settings.database_url.get_secret_value().replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(url) as service:
        found = await service.execute("SELECT plan FROM api_keys WHERE uuid = %s", (UUID(addon.id),))
        assert await found.fetchall() == [("premium",)]
    assert addon.plan == "test"
    assert len(key_rig.simulator.world.exchanges) == calls
    (event,) = await deeds(key_rig, addon.id)
    assert (event.kind, event.plan_before, event.plan_after) == ("plan_moved", "test", "premium")
    # Heroku follows later: it is the plan it has.
    assert (await key_rig.heroku.put(f"/{addon.id}", json={"plan": "premium"})).status_code == 200


@pytest.mark.parametrize("plan", ["test", "no-such-plan", ""])
async def test_moved_only_to_another_plan_that_there_is(key_rig: Rig, plan: str):
    _, addon = await installed(key_rig)
    with pytest.raises(Refused, match="Choose one of what is offered"):
        await do(key_rig, "move-plan", addon.id, plan=plan)
    assert await deeds(key_rig, addon.id) == []
