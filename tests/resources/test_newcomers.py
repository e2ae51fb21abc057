"""Requests that are written down together: each gets what it would have got alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from rig import Rig, provision_body
from sqlalchemy import text

BACKGROUND = "standard"


@pytest.fixture
def key_rig(key_rig: Rig) -> Rig:
    """With drivers that are all called: what is a row beside ours does not wait with the others."""
    key_rig.context.own_tables.clear()
    return key_rig


@pytest.fixture
async def outside(key_rig: Rig) -> AsyncIterator[psycopg.AsyncConnection]:
    """Somebody else's connection to the same database."""
    url = key_rig.settings.database_url.get_secret_value().replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


@asynccontextmanager
async def together(
    rig: Rig, outside: psycopg.AsyncConnection, *bodies: dict[str, Any]
) -> AsyncIterator[list["asyncio.Task[httpx2.Response]"]]:
    """Requests that all wait for one statement: within the block for the table, and after it no longer."""
    async with outside.transaction():
        await outside.execute("LOCK TABLE resources IN EXCLUSIVE MODE")
        first = asyncio.create_task(rig.heroku.post("", json=provision_body(plan=BACKGROUND)))
        await _until(outside, "SELECT count(*) FROM pg_locks WHERE NOT granted")
        tasks = [asyncio.create_task(rig.heroku.post("", json=body)) for body in bodies]
        while len(rig.context.newcomers) < len(bodies):
            assert not any(task.done() for task in (first, *tasks))
            await asyncio.sleep(0)
        yield tasks
    await asyncio.wait([first, *tasks])


async def _until(outside: psycopg.AsyncConnection, query: str) -> None:
    async with asyncio.timeout(20):
        while not (await (await outside.execute(query)).fetchone() or [0])[0]:
            await asyncio.sleep(0)


async def rows(rig: Rig) -> set[str]:
    async with rig.context.database.transaction() as session:
        return {str(uuid) for uuid in await session.scalars(text("SELECT uuid FROM resources"))}


async def jobs_of(rig: Rig, uuid: str) -> list[str]:
    async with rig.context.database.transaction() as session:
        query = text("SELECT task_name FROM procrastinate_jobs WHERE lock = :lock ORDER BY id")
        return list(await session.scalars(query, {"lock": uuid}))


async def test_each_has_its_own_row_history_and_jobs_in_order(key_rig: Rig, outside):
    bodies = [provision_body(plan=BACKGROUND), provision_body(plan=BACKGROUND, oauth_grant=None), provision_body()]
    async with together(key_rig, outside, *bodies) as tasks:
        pass
    assert [task.result().status_code for task in tasks] == [202, 202, 200]
    for body, task in zip(bodies, tasks, strict=True):
        assert task.result().json()["id"] == body["uuid"]
        assert (await key_rig.resource(body["uuid"])).name == body["name"]
        assert (await key_rig.events(body["uuid"]))[0] == "requested"
    assert await jobs_of(key_rig, bodies[0]["uuid"]) == ["exchange_grant", "provision_service"]
    assert await jobs_of(key_rig, bodies[1]["uuid"]) == ["provision_service"]
    grant = (await key_rig.resource(bodies[0]["uuid"])).open(key_rig.context.keys, "grant")
    assert grant == bodies[0]["oauth_grant"]["code"]


async def test_the_neighbours_of_one_that_the_database_does_not_take_are_written(key_rig: Rig, outside):
    await outside.execute("ALTER TABLE resources ADD CHECK (name <> 'cannot-be')")
    bodies = [provision_body(plan=BACKGROUND, name=name) for name in ("one", "cannot-be", "two")]
    async with together(key_rig, outside, *bodies) as tasks:
        pass
    assert [task.result().status_code for task in tasks] == [202, 500, 202]
    there = await rows(key_rig)
    assert [body["uuid"] in there for body in bodies] == [True, False, True]
    assert await jobs_of(key_rig, bodies[1]["uuid"]) == []


async def test_two_for_one_uuid_make_one_resource_with_what_the_first_one_said(key_rig: Rig, outside):
    first = provision_body(plan=BACKGROUND, name="first")
    second = provision_body(plan=BACKGROUND, name="second", uuid=first["uuid"], oauth_grant=first["oauth_grant"])
    async with together(key_rig, outside, first, second, provision_body()) as tasks:
        pass
    assert tasks[0].result().content == tasks[1].result().content
    assert (await key_rig.resource(first["uuid"])).name == "first"
    assert await jobs_of(key_rig, first["uuid"]) == ["exchange_grant", "provision_service"]


async def test_what_is_there_already_is_told_beside_what_is_new(key_rig: Rig, outside):
    ready, gone = provision_body(), provision_body(plan=BACKGROUND)
    before = [await key_rig.heroku.post("", json=body) for body in (ready, gone)]
    await key_rig.heroku.delete(f"/{gone['uuid']}")
    await outside.execute("INSERT INTO plan_withdrawals VALUES ('test', 'No longer sold.', now(), 'grace')")
    refused, new = provision_body(), provision_body(plan=BACKGROUND)
    async with together(key_rig, outside, ready, gone, refused, new) as tasks:
        pass
    answers = [task.result() for task in tasks]
    assert [answer.status_code for answer in answers] == [200, 410, 422, 202]
    assert answers[0].content == before[0].content
    assert answers[2].json()["message"] == "No longer sold."
    assert refused["uuid"] not in await rows(key_rig)


async def test_a_lost_connection_is_not_now_for_all_of_them_and_a_repeated_request_is_taken(key_rig: Rig, outside):
    bodies = [provision_body(plan=BACKGROUND) for _ in range(3)]
    async with together(key_rig, outside, *bodies) as tasks:
        await outside.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
        # The next statement, with all three, waits for the table on a connection of its own.
        await _until(outside, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'resources'::regclass")
        await outside.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
        await asyncio.wait(tasks)
    assert [task.result().status_code for task in tasks] == [503] * 3
    assert not {body["uuid"] for body in bodies} & await rows(key_rig)
    again = [await key_rig.heroku.post("", json=body) for body in bodies]
    assert [answer.status_code for answer in again] == [202] * 3


async def test_a_process_that_dies_before_the_commit_has_promised_nothing(key_rig: Rig, outside):
    body = provision_body(plan=BACKGROUND)
    async with together(key_rig, outside, body) as tasks:
        for task in (*tasks, *(work for _, work in key_rig.context.under_way.values())):
            task.cancel()
    assert body["uuid"] not in await rows(key_rig)
    assert (await key_rig.heroku.post("", json=body)).status_code == 202
    assert UUID(body["uuid"]) not in key_rig.context.under_way
