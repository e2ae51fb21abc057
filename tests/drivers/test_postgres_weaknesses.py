"""What is said of a server whose settings leave customers more than they should have."""

import asyncio
from contextlib import suppress

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from structlog.testing import capture_logs

from app.drivers.postgres import PostgresServer
from app.drivers.postgres.weaknesses import weaknesses


@pytest.fixture
def ordinary(admin, admin_url):
    """A server as an ordinary role sees it, as managed ones give."""
    if not admin.execute("SELECT FROM pg_roles WHERE rolname = 'plain_seller'").rowcount:
        admin.execute("CREATE ROLE plain_seller LOGIN CREATEDB CREATEROLE PASSWORD 'of the seller'")
    admin.execute("GRANT CONNECT ON DATABASE postgres TO plain_seller")
    return PostgresServer(make_conninfo(admin_url, user="plain_seller", password="of the seller"))


async def said_of(server: PostgresServer) -> str:
    async with server.connect() as ours:
        return " ".join(await weaknesses(ours))


async def test_a_database_that_shares_the_server_is_named(sold, admin):
    database = await sold()
    admin.execute("CREATE DATABASE the_partners_own")
    await database.driver.usage(database.resource)  # closes it to customers
    said = await said_of(database.driver.server)
    assert "Customers share the server with" in said
    assert "the_partners_own" in said
    assert database.name not in said
    admin.execute("DROP DATABASE the_partners_own")


async def test_a_database_that_customers_can_log_in_to_is_named(sold, admin):
    database = await sold()
    admin.execute("GRANT CONNECT ON DATABASE template1 TO PUBLIC")
    assert "Customers can log in to template1: REVOKE CONNECT" in await said_of(database.driver.server)
    await database.driver.usage(database.resource)
    assert "Customers can log in" not in await said_of(database.driver.server)


async def test_what_a_role_that_is_no_superuser_lacks_is_said(ordinary):
    said = await said_of(ordinary)
    assert "GRANT pg_use_reserved_connections to the driver's role" in said
    assert "set temp_file_limit" in said


async def test_what_the_server_itself_lacks_is_said_until_it_is_set(sold, admin):
    server = (await sold()).driver.server
    assert "set authentication_timeout to 10s" in await said_of(server)
    admin.execute("ALTER SYSTEM SET authentication_timeout = '10s'")
    admin.execute("SELECT pg_reload_conf()")
    try:
        async with asyncio.timeout(10):
            while "set authentication_timeout" in await said_of(server):
                await asyncio.sleep(0.01)
    finally:
        admin.execute("ALTER SYSTEM RESET authentication_timeout")
        admin.execute("SELECT pg_reload_conf()")


async def test_it_is_said_in_the_log_when_the_worker_begins(ordinary, sells, monkeypatch):
    monkeypatch.setattr(PostgresServer, "is_on_this_machine", False)  # where nothing is said: a laptop
    driver = sells()
    driver.server = ordinary
    with capture_logs() as lines:
        working = asyncio.create_task(driver.guard())
        async with asyncio.timeout(10):
            while not lines:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        working.cancel()
        with suppress(asyncio.CancelledError, psycopg.Error):
            await working
    assert {line["log_level"] for line in lines} == {"warning"}
    assert any("reserved_connections" in line["what"] for line in lines)
