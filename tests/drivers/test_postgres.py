"""The Postgres driver keeps the contract, and its own promises on good days and bad ones."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from itertools import count

import psycopg
import pytest
from contract import DriverContract, new_resource
from psycopg.conninfo import conninfo_to_dict
from sold_databases import left_of

from app.drivers.postgres import Postgres, PostgresServer
from app.drivers.postgres.server import human_size
from app.errors import Refused, Retry

MEGABYTE = 1024**2


class TestContract(DriverContract):
    @pytest.fixture
    def driver(self, sells):
        return sells()

    @pytest.fixture
    def works(self, can_connect):
        async def works(config):
            return await can_connect(config["ACME_POSTGRES_URL"])

        return works


async def value(connection, query, *parameters):
    (answer,) = await (await connection.execute(query, parameters)).fetchone()
    return answer


class TestADatabase:
    async def test_is_used_as_its_owner_who_may_create_anything(self, sold, session):
        customer = await session((await sold()).url)
        assert await value(customer, "SELECT current_user") == await value(customer, "SELECT current_database()")
        await customer.execute("CREATE TABLE t (id int); CREATE SCHEMA s; CREATE TEMP TABLE u (id int)")
        await customer.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE EXTENSION hstore")
        assert await value(customer, "SELECT 'a=>1'::hstore -> 'a'") == "1"

    async def test_is_the_owners_again_after_a_pool_resets_the_session(self, sold, session):
        customer = await session((await sold()).url)
        await customer.execute("SET ROLE NONE")
        await customer.execute("DISCARD ALL")
        assert await value(customer, "SELECT current_user") == await value(customer, "SELECT current_database()")

    async def test_provisioned_again_after_its_public_schema_was_dropped_stays_as_it_is(self, sold, session):
        database = await sold()
        await (await session(database.url)).execute("DROP SCHEMA public")
        await database.driver.provision(database.resource)
        customer = await session(database.url)
        assert await value(customer, "SELECT count(*) FROM pg_namespace WHERE nspname = 'public'") == 0

    async def test_what_was_stored_survives_rotation_and_retirement(self, sold, session):
        database = await sold()
        await (await session(database.url)).execute("CREATE TABLE t AS SELECT 7 AS n")
        await database.rotate()
        await database.driver.retire(database.resource)
        customer = await session(database.url)
        assert await value(customer, "SELECT n FROM t") == 7
        await customer.execute("DROP TABLE t")

    async def test_retirement_ends_sessions_of_the_old_login_and_no_others(self, sold, session):
        database = await sold()
        old = await session(database.url)
        await database.rotate()
        new = await session(database.url)
        await database.driver.retire(database.resource)
        with pytest.raises(psycopg.OperationalError):
            await old.execute("SELECT 1")
        assert await value(new, "SELECT 1") == 1

    async def test_has_the_timeouts_of_its_plan_as_defaults(self, sold, session):
        customer = await session((await sold(statement_timeout=timedelta(milliseconds=50))).url)
        with pytest.raises(psycopg.errors.QueryCanceled):
            await customer.execute("SELECT pg_sleep(60)")
        assert await value(customer, "SHOW idle_in_transaction_session_timeout") == "10min"

    async def test_leaves_nothing_behind(self, sold, admin):
        database = await sold()
        await database.rotate()
        await database.driver.restrict(database.resource, read_only=True)
        await database.driver.deprovision(database.resource)
        assert left_of(admin, database.resource) == []

    async def test_goes_even_while_sessions_hold_transactions_and_locks(self, sold, session, admin):
        database = await sold()
        busy = await session(database.url)
        await busy.execute("CREATE TABLE t (id int); BEGIN; LOCK TABLE t; SET ROLE NONE")
        await busy.execute("ALTER ROLE CURRENT_USER PASSWORD 'theirs'")
        await database.driver.deprovision(database.resource)
        assert left_of(admin, database.resource) == []


class TestCutOff:
    async def test_at_any_statement_of_provision_or_deprovision_the_next_run_completes(
        self, sells, can_connect, admin, fail_at
    ):
        driver = sells()
        for statement in count(1):
            resource = new_resource()
            with fail_at(statement) as was_lost_in_provision, suppress(Retry):
                await driver.provision(resource)
            made = await driver.provision(resource)
            assert await can_connect(made.config["ACME_POSTGRES_URL"])
            with fail_at(statement) as was_lost_in_deprovision, suppress(Retry):
                await driver.deprovision(resource)
            await driver.deprovision(resource)
            assert left_of(admin, resource) == []
            if not was_lost_in_provision and not was_lost_in_deprovision:
                break
        assert statement > 10

    async def test_at_any_statement_of_provision_the_half_made_thing_can_be_deprovisioned(self, sells, admin, fail_at):
        driver = sells()
        for statement in count(1):
            resource = new_resource()
            with fail_at(statement) as was_lost, suppress(Retry):
                await driver.provision(resource)
            await driver.deprovision(resource)
            assert left_of(admin, resource) == []
            if not was_lost:
                break
        assert statement > 10

    async def test_at_any_statement_of_rotate_or_retire_the_next_run_completes(self, sold, can_connect, fail_at):
        database = await sold()
        for statement in count(1):
            old = database.url
            with fail_at(statement) as was_lost_in_rotate, suppress(Retry):
                await database.rotate()
            database.made = await database.driver.rotate(database.resource)
            with fail_at(statement) as was_lost_in_retire, suppress(Retry):
                await database.driver.retire(database.resource)
            await database.driver.retire(database.resource)
            assert await can_connect(database.url)
            assert not await can_connect(old)
            if not was_lost_in_rotate and not was_lost_in_retire:
                break
        assert statement > 5

    async def test_at_any_statement_of_a_restriction_the_next_run_completes(self, sold, session, fail_at):
        database = await sold()
        await (await session(database.url)).execute("CREATE TABLE t (id int)")
        for statement in count(1):
            with fail_at(statement) as was_lost_in_restricting, suppress(Retry):
                await database.restrict()
            await database.restrict()
            customer = await session(database.url)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                await customer.execute("INSERT INTO t VALUES (1)")
            await customer.execute("SELECT FROM t")
            with fail_at(statement) as was_lost_in_lifting, suppress(Retry):
                await database.lift()
            await database.lift()
            customer = await session(database.url)
            await customer.execute("INSERT INTO t VALUES (1)")
            if not was_lost_in_restricting and not was_lost_in_lifting:
                break
        assert statement > 10


class TestChangePlan:
    async def test_limits_apply_at_once_and_surplus_sessions_end_idle_ones_first(self, sold, sells, session, admin):
        database = await sold(connections=3)
        busy = await session(database.url)
        await busy.execute("BEGIN")
        idle = [await session(database.url) for _ in range(2)]
        await sells(connections=1, statement_timeout=timedelta(seconds=7)).change_plan(database.resource)
        assert await value(busy, "SELECT 1") == 1
        for connection in idle:
            with pytest.raises(psycopg.OperationalError):
                await connection.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            await session(database.url)
        await busy.close()
        await _until_gone(admin, database)
        customer = await session(database.url)
        assert await value(customer, "SHOW statement_timeout") == "7s"

    async def test_a_plan_with_less_storage_than_is_used_is_refused_with_both_sizes(self, sold, sells, session):
        database = await sold()
        customer = await session(database.url)
        await customer.execute("CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 9000)")
        with pytest.raises(Refused) as refusal:
            await sells(storage_bytes=8 * MEGABYTE).change_plan(database.resource)
        assert "The database holds 1" in refusal.value.message
        assert "has 8 MB of storage" in refusal.value.message
        assert await value(customer, "SELECT count(*) FROM t") == 9000

    async def test_a_larger_plan_makes_a_read_only_database_writable(self, sold, sells, session):
        database = await sold()
        await database.restrict()
        await sells(storage_bytes=128 * MEGABYTE).change_plan(database.resource)
        await (await session(database.url)).execute("CREATE TABLE t (id int)")

    async def test_a_plan_with_more_connections_than_there_is_room_for_is_refused(self, sold, sells):
        database = await sold()
        with pytest.raises(Refused, match="no room for a database with 1000 connections"):
            await sells(connections=1000).change_plan(database.resource)


class TestRoom:
    async def test_ends_before_sold_connections_reach_the_reserve(self, sells):
        large = sells(connections=100)  # of 300, where 10 are for superusers and a tenth is kept free
        first = new_resource()
        await large.provision(first)
        await large.provision(new_resource())
        refused = new_resource()
        with pytest.raises(Refused, match="choose a smaller plan, or try again later"):
            await large.provision(refused)
        await sells(connections=60).provision(new_resource())
        with pytest.raises(Refused):
            await sells(connections=1).provision(new_resource())
        await large.deprovision(first)
        await large.provision(refused)

    async def test_is_not_sold_twice_to_those_who_come_at_once(self, sells):
        large = sells(connections=100)
        results = await asyncio.gather(*(large.provision(new_resource()) for _ in range(4)), return_exceptions=True)
        assert sum(isinstance(result, Refused) for result in results) == 2

    async def test_is_not_asked_for_again_by_a_repeated_provision(self, sells):
        large = sells(connections=200)
        resource = new_resource()
        assert await large.provision(resource) == await large.provision(resource)


class TestUsage:
    async def test_tells_storage_as_enforced_and_open_connections(self, sold, session):
        database = await sold()
        await session(database.url)
        storage, connections = await database.driver.usage(database.resource)
        assert (storage.name, storage.unit, storage.limit, storage.enforced) == (
            "storage",
            "bytes",
            64 * MEGABYTE,
            True,
        )
        assert 5 * MEGABYTE < storage.used < 15 * MEGABYTE
        assert (connections.used, connections.limit, connections.enforced) == (1, 4, False)

    async def test_of_nothing_is_nothing(self, sells):
        assert await sells().usage(new_resource()) == ()

    @pytest.mark.parametrize(
        ("size", "text"),
        [
            (512, "512 bytes"),
            (64 * MEGABYTE, "64 MB"),
            (1536 * MEGABYTE, "1.5 GB"),
            (3 * 1024**4, "3.0 TB"),
        ],
    )
    def test_sizes_read_as_people_say_them(self, size, text):
        assert human_size(size) == text


class TestTheServer:
    async def test_that_is_away_means_try_again(self, sells):
        nowhere = PostgresServer("postgresql://postgres:secret-password@127.0.0.1:1/postgres")
        driver = Postgres(
            nowhere, config_var="X_URL", connections=1, statement_timeout=timedelta(1), storage_bytes=MEGABYTE
        )
        with pytest.raises(Retry) as refusal:
            await driver.provision(new_resource())
        assert "secret-password" not in f"{refusal.value}{refusal.value.__cause__}"

    async def test_that_is_shutting_sessions_down_means_try_again(self, sells, session, admin):
        driver = sells()
        resource = new_resource()
        key = int.from_bytes(resource.uuid.bytes[:8], signed=True)
        admin.execute("SELECT pg_advisory_lock(%s)", [key])  # makes the driver wait where it can be found
        provision = asyncio.create_task(driver.provision(resource))
        found = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'"
        while not admin.execute(found).fetchall():
            await asyncio.sleep(0)
        with pytest.raises(Retry):
            await provision
        admin.execute("SELECT pg_advisory_unlock(%s)", [key])

    def test_address_for_customers_is_the_public_host_or_our_own(self):
        assert PostgresServer("postgres://u@h/d").public_address == "h:5432"
        assert PostgresServer("postgresql+psycopg://u@[::1]:6000/d").public_address == "[::1]:6000"
        assert PostgresServer("postgres://u@/d?host=/run/pg&port=6000").public_address == "localhost:6000"
        assert PostgresServer("postgres://u@10.0.0.1/d", "db.example.com:5432").public_address == "db.example.com:5432"

    async def test_never_sees_a_password_in_clear_text(self, sold, admin, postgres_server):
        admin.execute("ALTER SYSTEM SET log_statement = 'all'")
        admin.execute("SELECT pg_reload_conf()")
        try:
            database = await sold()
            await database.rotate()
        finally:
            admin.execute("ALTER SYSTEM RESET log_statement")
            admin.execute("SELECT pg_reload_conf()")
        said = postgres_server.log.read_text()
        assert "SCRAM-SHA-256$" in said
        assert conninfo_to_dict(database.url)["password"] not in said


async def _until_gone(admin, database):
    """Wait until the server has noticed that the customer's sessions are closed."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    while admin.execute(query, [f"addon_{database.resource.uuid.hex}"]).fetchone() != (0,):
        await asyncio.sleep(0)
