"""What a customer tries on what all databases of a server share: locks, connections, names, settings, statistics."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from itertools import count

import psycopg
import pytest
from beyond_a_customer import FORBIDDEN, try_all
from contract import new_resource

from app.drivers.postgres import guard
from app.errors import Refused

FILL_THE_TABLE_OF_LOCKS = "DO $$ BEGIN FOR i IN 1..10000000 LOOP PERFORM pg_advisory_lock(i); END LOOP; END $$"


async def take_what_was_set_free(customer) -> None:
    """A statement that ends for want of room gives back the last that it took."""
    for key in count(20_000_000):
        try:
            await customer.execute("SELECT pg_advisory_lock(%s)", [key])
        except psycopg.errors.OutOfMemory:
            return


@pytest.fixture
async def attacker(sold):
    return await sold()


@pytest.fixture
async def victim(sold):
    return await sold()


async def value(connection, query, *parameters):
    (answer,) = await (await connection.execute(query, parameters)).fetchone()
    return answer


def left_of(admin, database) -> int:
    """How many roles and databases of a customer there are."""
    query = (
        "SELECT FROM pg_roles WHERE starts_with(rolname::text, %s) UNION ALL SELECT FROM pg_database WHERE datname = %s"
    )
    return admin.execute(query, [database.name, database.name]).rowcount


async def test_nothing_that_is_shared_is_for_a_customer_to_change(attacker, victim, session, admin, subtests):
    await try_all(attacker, victim, session, admin, subtests)


class TestExtensions:
    async def test_that_postgres_trusts_give_no_power(self, attacker, session, admin):
        """Each of them, with traps laid in the schema that it goes into."""
        customer = await session(attacker.url)
        await customer.execute(
            """
            CREATE FUNCTION steal() RETURNS boolean LANGUAGE plpgsql AS $$
            BEGIN EXECUTE format('ALTER ROLE %I SUPERUSER', session_user); RETURN true; END $$;
            CREATE FUNCTION public.same(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT steal()';
            CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.same);
            SET search_path = public, pg_catalog;
            """
        )
        query = "SELECT DISTINCT name FROM pg_available_extension_versions WHERE trusted AND NOT installed"
        names = [name for (name,) in admin.execute(query).fetchall()]
        assert names
        for name in names:
            with suppress(psycopg.Error):
                await customer.execute(f'CREATE EXTENSION "{name}" CASCADE')
        installed = await value(customer, "SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql'")
        assert installed > 0
        assert admin.execute("SELECT array_agg(rolname::text) FROM pg_roles WHERE rolsuper").fetchone() == (
            ["postgres"],
        )
        untrusted = "SELECT count(*) FROM pg_language WHERE NOT lanpltrusted AND lanname NOT IN ('internal', 'c')"
        assert await value(customer, untrusted) == 0
        await attacker.restrict()
        await attacker.lift()
        await attacker.driver.deprovision(attacker.resource)
        assert left_of(admin, attacker) == 0


class TestWatchingOthers:
    async def test_shows_no_statement_and_no_address(self, attacker, victim, session):
        theirs = await session(victim.url)
        await theirs.execute("SELECT 'of the victim'")
        customer = await session(attacker.url)
        shown = await customer.execute(
            "SELECT query, client_addr, client_hostname, client_port, backend_start, xact_start, wait_event "
            "FROM pg_stat_activity WHERE usename = %s",
            [f"{victim.name}_g1"],
        )
        assert {tuple(row) for row in await shown.fetchall()} == {("<insufficient privilege>", *[None] * 6)}

    async def test_shows_no_statistics_of_their_tables(self, attacker, victim, session):
        theirs = await session(victim.url)
        await theirs.execute("CREATE TABLE salaries AS SELECT 'ada' AS name; ANALYZE salaries")
        customer = await session(attacker.url)
        for view in ("pg_stats", "pg_stat_all_tables", "pg_statio_all_tables", "pg_tables", "pg_class"):
            column = "relname" if view not in {"pg_stats", "pg_tables"} else "tablename"
            assert await value(customer, f"SELECT count(*) FROM {view} WHERE {column} = 'salaries'") == 0

    async def test_hears_none_of_their_notifications(self, attacker, victim, session):
        customer = await session(attacker.url)
        await customer.execute("LISTEN orders; LISTEN procrastinate_any_queue")
        theirs = await session(victim.url)
        await theirs.execute("NOTIFY orders, 'of the victim'")
        await customer.execute("NOTIFY orders, 'of their own'")
        heard = [note.payload async for note in customer.notifies(timeout=5, stop_after=1)]
        heard += [note.payload async for note in customer.notifies(timeout=0)]
        assert heard == ["of their own"]

    async def test_ends_and_cancels_nothing_of_theirs_nor_of_ours(self, attacker, victim, session, admin):
        theirs = await session(victim.url)
        customer = await session(attacker.url)
        others = [theirs.info.backend_pid, admin.info.backend_pid]
        nobodys = admin.execute("SELECT pid FROM pg_stat_activity WHERE usename IS NULL")
        others += [pid for (pid,) in nobodys.fetchall()]
        for role in (attacker.name, "NONE"):
            await customer.execute(f"SET ROLE {role}")
            for function in ("pg_terminate_backend", "pg_cancel_backend"):
                for pid in others:
                    # For a process that serves nobody Postgres only warns.
                    with suppress(*FORBIDDEN):
                        assert not await value(customer, f"SELECT {function}(%s)", pid)
        assert await value(theirs, "SELECT 1") == 1
        assert admin.execute("SELECT 1").fetchone() == (1,)


class TestLocks:
    async def test_that_we_take_ourselves_are_out_of_reach(self, attacker, session):
        """Advisory locks belong to a database, and ours are in one that no customer enters."""
        customer = await session(attacker.url)
        key = int.from_bytes(attacker.resource.uuid.bytes[:8], signed=True)
        await customer.execute("SELECT pg_advisory_lock(%s), pg_advisory_lock(%s)", [key, 0x61_64_64_6F_6E_5F_70_67])
        await asyncio.wait_for(attacker.driver.provision(attacker.resource), 20)
        await asyncio.wait_for(attacker.rotate(), 20)

    async def test_on_what_everybody_reads_keep_nobody_from_being_sold_a_database(self, attacker, sold, session):
        customer = await session(attacker.url)
        await customer.execute(
            "SET ROLE NONE; BEGIN; ALTER ROLE SESSION_USER SET work_mem = '5MB'; "
            "LOCK TABLE pg_class, pg_database, pg_auth_members, pg_db_role_setting, pg_shdepend IN ACCESS SHARE MODE"
        )
        other = await asyncio.wait_for(sold(), 20)
        await asyncio.wait_for(other.rotate(), 20)
        await asyncio.wait_for(other.driver.deprovision(other.resource), 20)

    async def test_so_many_that_nobody_can_log_in_any_more_end_with_their_session(
        self, attacker, victim, session, can_connect, admin, monkeypatch
    ):
        """The table of locks is one for all, and who may log in may fill it."""
        monkeypatch.setattr(guard, "EVERY", timedelta(seconds=0.2))
        working = asyncio.create_task(attacker.driver.guard())
        while not admin.execute("SELECT FROM pg_stat_activity WHERE application_name = 'addon driver'").rowcount:
            await asyncio.sleep(0.01)
        theirs = await session(victim.url)
        customer = await session(attacker.url)
        with suppress(psycopg.errors.OutOfMemory, psycopg.OperationalError):
            await customer.execute(FILL_THE_TABLE_OF_LOCKS)
            pytest.fail("There is room for ten million locks.")
        with suppress(psycopg.OperationalError):
            await take_what_was_set_free(customer)
        async with asyncio.timeout(30):
            while not await can_connect(victim.url):
                await asyncio.sleep(0.01)
        with pytest.raises(psycopg.OperationalError):
            await customer.execute("SELECT 1")
        assert await value(theirs, "SELECT 1") == 1
        assert await can_connect(attacker.url)  # to whom no more is done than that
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working

    async def test_are_ended_also_when_there_is_no_room_for_one_more(self, attacker, session):
        customer = await session(attacker.url)
        async with guard.lookout(attacker.driver.server) as ours:
            with suppress(psycopg.errors.OutOfMemory):
                await customer.execute(FILL_THE_TABLE_OF_LOCKS)
            await take_what_was_set_free(customer)
            await guard.end_hoarder(ours)
        with pytest.raises(psycopg.OperationalError):
            await customer.execute("SELECT 1")

    async def test_as_many_as_a_large_program_takes_are_left_alone(self, attacker, session, admin):
        customer = await session(attacker.url)
        await customer.execute(FILL_THE_TABLE_OF_LOCKS.replace("10000000", "3000"))
        async with attacker.driver.server.connect() as ours:
            await guard.end_hoarder(ours)
        assert await value(customer, "SELECT pg_advisory_unlock(1)")


class TestTheEnd:
    async def test_comes_whatever_the_customer_is_busy_with(self, attacker, session, admin):
        busy = [await session(attacker.url) for _ in range(attacker.driver.connections)]
        await busy[0].execute("SET statement_timeout = 0; CREATE TABLE t (id int)")
        statements = [
            "SET statement_timeout = 0; SELECT pg_sleep(600)",
            "SET statement_timeout = 0; SELECT count(*) FROM generate_series(1, 100000000000)",
            "BEGIN; LOCK TABLE t; SELECT pg_advisory_lock(1); SELECT pg_sleep(600)",
            "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$",
        ]
        running = [
            asyncio.create_task(connection.execute(statement))
            for connection, statement in zip(busy, statements, strict=True)
        ]
        while (
            admin.execute(
                "SELECT FROM pg_stat_activity WHERE datname = %s AND state = 'active'", [attacker.name]
            ).rowcount
            < 4
        ):
            await asyncio.sleep(0.01)
        await asyncio.wait_for(attacker.driver.deprovision(attacker.resource), 30)
        assert left_of(admin, attacker) == 0
        ends = await asyncio.gather(*running, return_exceptions=True)
        assert all(isinstance(end, psycopg.Error) for end in ends)

    async def test_comes_although_the_customer_comes_back_again_and_again(self, attacker, session, admin):
        is_over = False

        async def come_back() -> None:
            while not is_over:
                with suppress(psycopg.Error):
                    await session(attacker.url)
                await asyncio.sleep(0)

        coming = [asyncio.create_task(come_back()) for _ in range(3)]
        await asyncio.wait_for(attacker.driver.deprovision(attacker.resource), 30)
        is_over = True
        await asyncio.gather(*coming)
        assert left_of(admin, attacker) == 0

    async def test_comes_with_publications_large_objects_and_strange_names(self, attacker, session, admin):
        name = """x"; DROP DATABASE postgres; --'$$%1$I"""
        quoted = name.replace('"', '""')
        customer = await session(attacker.url)
        await customer.execute(
            f"""
            CREATE SCHEMA "{quoted}";
            CREATE TABLE "{quoted}"."{quoted}" ("{quoted}" int);
            ALTER TABLE "{quoted}"."{quoted}" ENABLE ROW LEVEL SECURITY;
            CREATE POLICY {attacker.name}_reader ON "{quoted}"."{quoted}" USING (false);
            CREATE FUNCTION "{quoted}"."{quoted}"() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1';
            CREATE PUBLICATION "{quoted}" FOR TABLE "{quoted}"."{quoted}";
            SELECT lo_from_bytea(0, 'x') FROM generate_series(1, 100);
            """.encode()
        )
        await customer.execute(
            f"COMMENT ON TABLE \"{quoted}\".\"{quoted}\" IS '''; DROP DATABASE postgres; --'".encode()
        )
        await attacker.restrict()
        await attacker.lift()
        await attacker.rotate()
        await attacker.driver.retire(attacker.resource)
        assert await value(await session(attacker.url), "SELECT count(*) FROM pg_publication") == 1
        assert admin.execute("SELECT FROM pg_database WHERE datname = 'postgres'").rowcount == 1
        await attacker.driver.deprovision(attacker.resource)
        assert left_of(admin, attacker) == 0


async def test_customers_who_take_every_connection_they_have_leave_room_for_us(sells, session, admin):
    """As many are sold as the server has room for; all of them come with all that they may have, and more."""
    sold = []
    driver = sells(connections=15)

    async def sell_all() -> None:
        while True:
            resource = new_resource()
            sold.append((driver, resource, await driver.provision(resource)))

    with pytest.raises(Refused):
        await sell_all()

    async def take(url: str) -> int:
        with suppress(psycopg.OperationalError):
            await session(url)
            return 1
        return 0

    urls = [made.config["ACME_POSTGRES_URL"] for _, _, made in sold for _ in range(20)]
    taken = sum(await asyncio.gather(*(take(url) for url in urls)))
    assert taken <= 15 * len(sold)
    for driver, resource, _ in sold:
        await asyncio.wait_for(driver.usage(resource), 20)
        _, connections = await driver.usage(resource)
        assert connections.used <= 15
    driver, resource, _ = sold[0]
    await asyncio.wait_for(driver.suspend(resource), 20)
    assert (
        admin.execute("SELECT FROM pg_stat_activity WHERE datname = %s", [f"addon_{resource.uuid.hex}"]).rowcount == 0
    )
