"""Whole lives through the front door, with real databases at the end of the customer's URL."""

import psycopg
import pytest
from lives import install, our_calls, url_in
from rig import Rig

from app.resources import rotation


async def ask(url: str, statement: str) -> list[tuple]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5) as connection:
        answer = await connection.execute(statement)
        return await answer.fetchall() if answer.description else []


async def left_on_the_server(rig: Rig, uuid: str) -> list[tuple]:
    """Names of databases and roles that belong to the resource."""
    name = uuid.replace("-", "")
    return await ask(
        rig.settings.database_url.get_secret_value().replace("+psycopg", ""),
        f"SELECT datname FROM pg_database WHERE datname LIKE '%{name}%'"
        f" UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE '%{name}%'",
    )


@pytest.mark.parametrize(("plan", "next_plan", "connections"), [("test", "standard", 20), ("standard", "test", 5)])
async def test_a_database_is_made_used_moved_rotated_and_removed(rig: Rig, plan, next_plan, connections):
    app, addon = await install(rig, plan)
    await rig.work()
    assert addon.state == "provisioned"
    first_url = url_in(rig, app)
    await ask(first_url, "CREATE TABLE notes (text text)")
    await ask(first_url, "INSERT INTO notes VALUES ('kept')")

    await rig.simulator.calls.change_plan(addon, next_plan)
    await rig.work()
    assert (await rig.resource(addon.id)).plan == addon.plan == next_plan
    assert url_in(rig, app) == first_url
    assert await ask(first_url, "SELECT datconnlimit FROM pg_database WHERE datname = current_database()") == [
        (connections,)
    ]

    releases = len(app.releases)
    await rotation.rotate(rig.context, (await rig.resource(addon.id)).uuid, "ada@example.com")
    await rig.work()
    second_url = url_in(rig, app)
    assert second_url != first_url
    assert len(app.releases) == releases + 1
    assert await ask(first_url, "SELECT text FROM notes") == await ask(second_url, "SELECT text FROM notes")
    rig.clock.forward(hours=2, seconds=1)
    await rig.sweep()
    with pytest.raises(psycopg.OperationalError):
        await ask(first_url, "SELECT")
    assert await ask(second_url, "SELECT text FROM notes") == [("kept",)]

    await rig.simulator.calls.deprovision(addon)
    await rig.work()
    with pytest.raises(psycopg.OperationalError):
        await ask(second_url, "SELECT")
    assert await left_on_the_server(rig, addon.id) == []
    assert rig.simulator.world.config_vars(app) == {}
    assert rig.simulator.world.pending_deletes == {}
    assert await rig.jobs() == []


async def test_the_history_tells_the_life_in_order(key_rig: Rig):
    _, addon = await install(key_rig, "standard")
    await key_rig.work()
    await key_rig.simulator.calls.change_plan(addon, "premium")
    await key_rig.work()
    await key_rig.simulator.calls.deprovision(addon)
    await key_rig.work()
    assert await key_rig.events(addon.id) == [
        "requested",
        "grant_exchanged",
        "config_pushed",
        "provisioned",
        "plan_changed",
        "deprovisioned",
        "removed",
    ]


async def test_an_instant_plan_asks_heroku_for_tokens_and_nothing_else(key_rig: Rig):
    _, addon = await install(key_rig, "test")
    await key_rig.work()
    assert addon.state == "provisioned"
    assert our_calls(key_rig) == ["POST token"]


async def test_two_apps_have_two_databases_that_do_not_know_each_other(rig: Rig):
    one, first = await install(rig, "test", app="shop-one")
    other, second = await install(rig, "test", app="shop-two")
    await ask(url_in(rig, one), "CREATE TABLE secrets (text text)")
    assert await ask(url_in(rig, other), "SELECT FROM pg_tables WHERE tablename = 'secrets'") == []
    for addon in (first, second):
        await rig.simulator.calls.deprovision(addon)
    await rig.work()
    assert await left_on_the_server(rig, first.id) + await left_on_the_server(rig, second.id) == []
