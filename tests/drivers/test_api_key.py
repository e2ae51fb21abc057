import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from contract import DriverContract, Works, follow, new_resource
from pydantic import SecretStr

from app.dev.postgres import DevPostgres
from app.drivers.api_key import ApiKey
from app.errors import Retry

GUIDE = Path(__file__).parents[2] / "docs" / "drivers.md"


@pytest.fixture(scope="module")
def service_database(postgres_server: DevPostgres) -> Iterator[str]:
    """The database of a partner's service; its address in the form that settings have."""
    server = postgres_server.url.replace("+psycopg", "")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS key_service")
        connection.execute("CREATE DATABASE key_service")
    yield postgres_server.url_for("key_service")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE key_service WITH (FORCE)")


@pytest.fixture
async def driver(service_database: str) -> AsyncIterator[ApiKey]:
    driver = key_driver(service_database)
    yield driver
    await driver.close()


@pytest.fixture(scope="module")
def owner_of():
    """The check that the guide gives to partners, word for word."""
    _, _, section = GUIDE.read_text().partition("## Checking an API key")
    code, _, _ = section.partition("```python\n")[2].partition("```")
    names: dict = {}
    exec(compile(code, GUIDE.name, "exec"), names)
    return names["owner_of"]


@pytest.fixture
def find(service_database: str, owner_of):
    async def find(key: str):
        async with await psycopg.AsyncConnection.connect(service_database.replace("+psycopg", "")) as connection:
            return await owner_of(connection, key)

    return find


@pytest.fixture
def works(find) -> Works:
    async def works(config) -> bool:
        return await find(config["ACME_KEY"]) is not None

    return works


def key_driver(database: str, requests_per_minute: int = 60) -> ApiKey:
    return ApiKey(
        SecretStr(database),
        config_var="ACME_KEY",
        service_url="https://api.acme.example",
        requests_per_minute=requests_per_minute,
    )


class TestContract(DriverContract):
    """What every driver keeps."""


async def test_a_service_finds_out_whose_a_key_is_and_what_it_may_do(driver: ApiKey, find):
    await driver.open()
    resource = new_resource()
    key = (await driver.provision(resource)).config["ACME_KEY"]
    assert await find(key) == (resource.uuid, "basic", 60)
    assert await find(key[:-1]) is None
    assert await find("") is None


async def test_a_plan_change_reaches_every_key_that_works(driver: ApiKey, service_database: str, find):
    await driver.open()
    resource = new_resource()
    old = await driver.provision(resource)
    resource = follow(resource, old, generation=2)
    new = await driver.rotate(resource)
    bigger = key_driver(service_database, 6000)
    await bigger.change_plan(follow(resource, new, plan="bigger"))
    await bigger.close()
    assert await find(old.config["ACME_KEY"]) == (resource.uuid, "bigger", 6000)
    assert await find(new.config["ACME_KEY"]) == (resource.uuid, "bigger", 6000)


async def test_a_plan_change_and_a_rotation_at_the_same_moment_wait_for_each_other_in_turn(
    driver: ApiKey, service_database: str, find
):
    await driver.open()
    resource = new_resource()
    old = await driver.provision(resource)
    rotated = follow(resource, old, generation=2)
    await driver.rotate(rotated)
    bigger = key_driver(service_database, 6000)
    async with await psycopg.AsyncConnection.connect(service_database.replace("+psycopg", "")) as other:
        await other.execute("SELECT FROM api_keys WHERE uuid = %s AND generation = 1 FOR UPDATE", (resource.uuid,))
        plan_change = asyncio.create_task(bigger.change_plan(follow(resource, old, plan="bigger")))
        await _wait_until_others_wait(other, 1)
        rotation = asyncio.create_task(driver.rotate(rotated))
        await _wait_until_others_wait(other, 2)
    await plan_change
    new = await rotation
    await bigger.close()
    assert await find(old.config["ACME_KEY"]) == await find(new.config["ACME_KEY"]) == (resource.uuid, "basic", 60)


async def _wait_until_others_wait(connection: psycopg.AsyncConnection, number: int) -> None:
    waiting = None
    while waiting != (number,):
        cursor = await connection.execute("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
        waiting = await cursor.fetchone()


async def test_the_table_holds_no_key(driver: ApiKey, service_database: str):
    await driver.open()
    key = (await driver.provision(new_resource())).config["ACME_KEY"]
    async with await psycopg.AsyncConnection.connect(service_database.replace("+psycopg", "")) as connection:
        rows = await (await connection.execute("SELECT api_keys::text FROM api_keys")).fetchall()
    assert rows
    assert not any(key.rpartition("_")[2] in row or key in row for (row,) in rows)


async def test_a_key_names_its_resource_and_generation(driver: ApiKey):
    await driver.open()
    resource = new_resource(generation=3)
    key = (await driver.provision(resource)).config["ACME_KEY"]
    assert key == f"ak_{resource.uuid.hex}_3_{resource.secret('key-3')}"


async def test_processes_that_start_at_the_same_time_make_one_table(service_database: str):
    async with await psycopg.AsyncConnection.connect(service_database.replace("+psycopg", "")) as connection:
        await connection.execute("DROP TABLE IF EXISTS api_keys")
    processes = [key_driver(service_database) for _ in range(8)]
    await asyncio.gather(*(one.open() for one in processes))
    assert (await processes[0].provision(new_resource())).config
    for one in processes:
        await one.close()


async def test_a_database_that_is_away_means_later(service_database: str):
    port = urlsplit(service_database).port
    password = urlsplit(service_database).password
    nobody_listens = service_database.replace(f":{port}/", ":1/")
    with pytest.raises(Retry) as away:
        await key_driver(nobody_listens).provision(new_resource())
    assert password not in f"{away.value!r} {away.value.__cause__!r}"


async def test_a_connection_that_is_cut_in_the_middle_means_later(driver: ApiKey, service_database: str):
    await driver.open()
    resource = new_resource()
    async with await psycopg.AsyncConnection.connect(service_database.replace("+psycopg", "")) as other:
        await other.execute("LOCK TABLE api_keys")
        call = asyncio.create_task(driver.provision(resource))
        await _end_who_waits(other)
        with pytest.raises(Retry):
            await call
    assert (await driver.provision(resource)).config


async def _end_who_waits(connection: psycopg.AsyncConnection) -> None:
    ended = None
    while ended is None:
        cursor = await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND relation = 'api_keys'::regclass"
        )
        ended = await cursor.fetchone()


async def test_the_snippet_names_the_config_var_and_the_service(driver: ApiKey):
    (snippet,) = driver.snippets()
    assert "$ACME_KEY" in snippet.text
    assert "https://api.acme.example" in snippet.text
