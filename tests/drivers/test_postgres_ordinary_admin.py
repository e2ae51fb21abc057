"""The driver with an admin role that is no superuser, as managed servers give: CREATEDB and CREATEROLE are enough."""

import gzip
from contextlib import suppress
from itertools import count

import psycopg
import pytest
from beyond_a_customer import FORBIDDEN, try_all
from contract import DriverContract, new_resource
from psycopg.conninfo import make_conninfo
from sold_databases import left_of

from app.drivers.postgres import Postgres, PostgresServer
from app.errors import Retry


@pytest.fixture
def sells(admin_url, sells):
    """The plans of the other tests, through the ordinary role."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        if not admin.execute("SELECT FROM pg_roles WHERE rolname = 'seller'").rowcount:
            admin.execute("CREATE ROLE seller LOGIN CREATEDB CREATEROLE PASSWORD 'of the seller'")
        admin.execute("GRANT CONNECT ON DATABASE postgres TO seller")
    server = PostgresServer(make_conninfo(admin_url, user="seller", password="of the seller"))

    def make(**terms) -> Postgres:
        driver = sells(**terms)
        driver.server = server
        return driver

    return make


class TestContract(DriverContract):
    @pytest.fixture
    def driver(self, sells):
        return sells()

    @pytest.fixture
    def works(self, can_connect):
        async def works(config):
            return await can_connect(config["ACME_POSTGRES_URL"])

        return works


async def test_a_provision_cut_off_at_any_statement_can_be_finished_and_removed(sells, can_connect, admin, fail_at):
    driver = sells()
    for statement in count(1):
        finished, removed = new_resource(), new_resource()
        for resource in (finished, removed):
            with fail_at(statement) as was_lost, suppress(Retry):
                await driver.provision(resource)
        assert await can_connect((await driver.provision(finished)).config["ACME_POSTGRES_URL"])
        for resource in (finished, removed):
            while left_of(admin, resource):
                with suppress(Retry):  # autovacuum may be in it at this moment
                    await driver.deprovision(resource)
        if not was_lost:
            break
    assert statement > 10


async def test_life_of_a_database_leaves_nothing_behind(sold, session, sells, admin):
    database = await sold()
    customer = await session(database.url)
    await customer.execute(
        """
        CREATE TABLE orders AS SELECT 1 AS id;
        CREATE FUNCTION put() RETURNS void SECURITY DEFINER LANGUAGE sql AS 'INSERT INTO orders VALUES (99)';
        CREATE EXTENSION hstore;
        """
    )
    await database.restrict()
    await database.rotate()
    customer = await session(database.url)
    await customer.execute("SET default_transaction_read_only = off")
    for write in (
        "INSERT INTO orders VALUES (99)",
        "SELECT put()",
        "CREATE TABLE t (id int)",
        "SET ROLE NONE; CREATE TABLE t ()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await customer.execute(write)
    await sells(connections=9).change_plan(database.resource)
    await database.driver.retire(database.resource)
    customer = await session(database.url)
    await customer.execute("SELECT put()")
    assert (await (await customer.execute("SELECT count(*) FROM orders")).fetchone()) == (2,)
    assert len(await database.driver.usage(database.resource)) == 2
    await database.driver.deprovision(database.resource)
    left = admin.execute(
        "SELECT rolname FROM pg_roles WHERE starts_with(rolname::text, %s) "
        "UNION ALL SELECT datname FROM pg_database WHERE datname = %s",
        [database.name, database.name],
    )
    assert left.fetchall() == []


async def test_customers_are_apart_from_each_other(sold, session):
    one, other = await sold(), await sold()
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        await session(one.url, dbname=other.name)


async def test_what_is_stored_can_be_exported(sold, session):
    database = await sold()
    customer = await session(database.url)
    await customer.execute("CREATE TABLE orders AS SELECT 'of the customer' AS text")
    await database.driver.set_aside(database.resource)
    pieces = [piece async for piece in database.driver.export(database.resource)]
    assert b"of the customer" in gzip.decompress(b"".join(pieces))


async def test_nothing_that_is_shared_is_for_a_customer_to_change(sold, session, admin, subtests):
    await try_all(await sold(), await sold(), session, admin, subtests)


async def test_nobody_becomes_the_role_that_sells(sold, session):
    customer = await session((await sold()).url)
    for statement in (
        "SET ROLE seller",
        "GRANT seller TO CURRENT_USER",
        "ALTER ROLE seller PASSWORD 'mine'",
        "REASSIGN OWNED BY seller TO CURRENT_USER",
    ):
        for role in ("NONE", None):
            await customer.execute("RESET ROLE" if role is None else f"SET ROLE {role}")
            with pytest.raises(FORBIDDEN):
                await customer.execute(statement)
