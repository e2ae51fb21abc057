"""Services that are a row beside the resource's own: both are there, or neither."""

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID

import psycopg
import pytest
from rig import Rig, provision_body
from sqlalchemy import text
from test_made_at_once import row_as_told

from app.drivers.base import ResourceInfo


@pytest.fixture
async def outside(key_rig: Rig) -> AsyncIterator[psycopg.AsyncConnection]:
    """Somebody else's connection to the same database."""
    url = key_rig.settings.database_url.get_secret_value().replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


async def keys_of(rig: Rig, uuid: str) -> list[tuple[object, ...]]:
    query = text("SELECT generation, encode(digest, 'hex'), plan, requests_per_minute, is_suspended FROM api_keys"
                 " WHERE uuid = :uuid")  # fmt: skip
    async with rig.context.database.transaction() as session:
        return [tuple(row) for row in await session.execute(query, {"uuid": uuid})]


async def test_it_is_written_as_if_the_driver_had_been_called(key_rig: Rig):
    usual = provision_body()
    assert (await key_rig.heroku.post("", json=usual)).status_code == 200
    resource = (await key_rig.resource(usual["uuid"])).info(key_rig.context.keys)
    driver = key_rig.context.plans["test"].driver
    before = await keys_of(key_rig, usual["uuid"])
    assert len(before) == 1
    assert dict((await driver.provision(resource)).config) == await key_rig.config(usual["uuid"])
    assert await keys_of(key_rig, usual["uuid"]) == before


async def test_the_row_its_history_and_its_jobs_are_those_of_any_instant_plan(key_rig: Rig):
    in_one, called = provision_body(), provision_body()
    first = await key_rig.heroku.post("", json=in_one)
    key_rig.context.own_tables.clear()  # as for a driver that has none
    second = await key_rig.heroku.post("", json=called)
    assert first.status_code == second.status_code == 200
    assert first.json().keys() == second.json().keys()
    assert await row_as_told(key_rig, in_one["uuid"]) == await row_as_told(key_rig, called["uuid"])


async def test_many_at_once_each_get_their_own_and_the_same_again(key_rig: Rig):
    bodies = [provision_body() for _ in range(40)]
    answers = await asyncio.gather(*(key_rig.heroku.post("", json=body) for body in [*bodies, *bodies]))
    assert {answer.status_code for answer in answers} == {200}
    assert [one.content for one in answers[:40]] == [one.content for one in answers[40:]]
    assert len({one.content for one in answers}) == 40
    for body, answer in zip(bodies, answers, strict=False):
        assert answer.json()["config"] == await key_rig.config(body["uuid"])
        assert len(await keys_of(key_rig, body["uuid"])) == 1
        assert await key_rig.events(body["uuid"]) == ["requested", "provisioned"]


async def test_where_the_row_of_the_service_is_not_taken_there_is_no_resource_and_neighbours_are_well(
    key_rig: Rig, outside: psycopg.AsyncConnection
):
    bodies = [provision_body() for _ in range(3)]
    await outside.execute(f"ALTER TABLE api_keys ADD CHECK (uuid <> '{bodies[1]['uuid']}')")
    answers = await asyncio.gather(*(key_rig.heroku.post("", json=body) for body in bodies))
    assert [one.status_code for one in answers] == [200, 500, 200]
    there = await (await outside.execute("SELECT uuid::text FROM resources")).fetchall()
    assert {uuid for (uuid,) in there} == {bodies[0]["uuid"], bodies[2]["uuid"]}
    assert await keys_of(key_rig, bodies[1]["uuid"]) == []


async def test_what_an_older_backup_has_left_in_the_table_is_replaced(key_rig: Rig, outside: psycopg.AsyncConnection):
    body = provision_body()
    old = "INSERT INTO api_keys VALUES (%s, 1, 'old', 'test', 1, true)"
    await outside.execute(old, [UUID(body["uuid"])])
    assert (await key_rig.heroku.post("", json=body)).status_code == 200
    ((_, digest, _, requests_per_minute, is_suspended),) = await keys_of(key_rig, body["uuid"])
    assert (digest == b"old".hex(), requests_per_minute, is_suspended) == (False, 60, False)


async def test_a_withdrawn_plan_sells_nothing(key_rig: Rig, outside: psycopg.AsyncConnection):
    await outside.execute("INSERT INTO plan_withdrawals VALUES ('test', 'No longer sold.', now(), 'grace')")
    body = provision_body()
    answer = await key_rig.heroku.post("", json=body)
    assert (answer.status_code, answer.json()["message"]) == (422, "No longer sold.")
    assert await keys_of(key_rig, body["uuid"]) == []


async def test_a_deprovisioned_one_does_not_come_back(key_rig: Rig):
    body = provision_body()
    await key_rig.heroku.post("", json=body)
    assert (await key_rig.heroku.delete(f"/{body['uuid']}")).status_code == 204
    await key_rig.work()
    assert (await key_rig.heroku.post("", json=body)).status_code == 410
    assert await keys_of(key_rig, body["uuid"]) == []


async def test_a_repeated_request_may_bring_a_fresher_grant(key_rig: Rig):
    body = provision_body()
    first = await key_rig.heroku.post("", json=body)
    body["oauth_grant"] = body["oauth_grant"] | {"code": "a-fresher-code"}
    assert (await key_rig.heroku.post("", json=body)).content == first.content
    assert (await key_rig.resource(body["uuid"])).open(key_rig.context.keys, "grant") == "a-fresher-code"


async def test_a_caller_who_leaves_before_his_turn_gets_nothing_and_in_the_middle_of_it_everything(
    key_rig: Rig, outside: psycopg.AsyncConnection
):
    in_the_middle, before = provision_body(), provision_body()
    gathering = key_rig.context.own_tables["test"][1]
    async with outside.transaction():
        await outside.execute("LOCK TABLE resources IN EXCLUSIVE MODE")
        first = asyncio.create_task(key_rig.heroku.post("", json=in_the_middle))
        async with asyncio.timeout(20):
            while not (await (await outside.execute("SELECT FROM pg_locks WHERE NOT granted")).fetchall()):
                await asyncio.sleep(0)
        second = asyncio.create_task(key_rig.heroku.post("", json=before))
        while not len(gathering):
            await asyncio.sleep(0)
        first.cancel()
        second.cancel()
        await asyncio.wait([first, second])
    assert (await key_rig.heroku.post("", json=provision_body())).status_code == 200
    assert [len(await keys_of(key_rig, body["uuid"])) for body in (in_the_middle, before)] == [1, 0]
    assert (await key_rig.heroku.post("", json=in_the_middle)).json()["config"] == await key_rig.config(
        in_the_middle["uuid"]
    )


async def test_a_config_var_that_the_manifest_does_not_list_is_not_sold(key_rig: Rig, monkeypatch: pytest.MonkeyPatch):
    driver = key_rig.context.plans["test"].driver
    monkeypatch.setattr(driver, "_config_var", "ANOTHER")
    body = provision_body()
    assert (await key_rig.heroku.post("", json=body)).status_code == 500
    assert await keys_of(key_rig, body["uuid"]) == []


async def test_a_plan_that_is_not_instant_has_its_driver_called(key_rig: Rig):
    body = provision_body(plan="standard", oauth_grant=None)
    assert (await key_rig.heroku.post("", json=body)).status_code == 202
    assert await keys_of(key_rig, body["uuid"]) == []
    await key_rig.work()
    assert len(await keys_of(key_rig, body["uuid"])) == 1


def test_a_table_in_another_database_is_not_the_add_ons_own(key_rig: Rig):
    driver = key_rig.context.plans["test"].driver
    ours = key_rig.settings.database_url.get_secret_value()
    assert driver.own_table(ours) is not None
    assert driver.own_table(ours.replace("+psycopg", "")) is not None
    assert driver.own_table(ours + "_of_the_service") is None


def test_the_row_holds_no_key(key_rig: Rig):
    driver = key_rig.context.plans["test"].driver
    table = driver.own_table(key_rig.settings.database_url.get_secret_value())
    assert table is not None
    row, made = table.row(ResourceInfo(uuid=UUID(int=1), plan="test", region="us", generation=1, seed=b"s" * 32))
    (key,) = made.config.values()
    assert key.rpartition("_")[2] not in json.dumps(row)
