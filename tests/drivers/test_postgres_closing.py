"""Databases that are suspended, set aside and brought back: what customers and strangers notice, and what survives."""

from contextlib import suppress
from dataclasses import replace
from itertools import count

import psycopg
import pytest

from app.errors import Refused, Retry


async def value(connection, query, *parameters):
    (answer,) = await (await connection.execute(query, parameters)).fetchone()
    return answer


def databases(admin) -> set[str]:
    return {name for (name,) in admin.execute("SELECT datname FROM pg_database WHERE datname ~ '^addon_'").fetchall()}


async def bring_back(database) -> None:
    database.resource = replace(database.resource, generation=database.resource.generation + 1, is_suspended=False)
    database.made = await database.driver.bring_back(database.resource)


class TestSuspended:
    async def test_open_sessions_end_and_a_password_of_the_customers_own_works_again_later(self, sold, session):
        database = await sold()
        customer = await session(database.url)
        await customer.execute("SET ROLE NONE")
        await customer.execute("ALTER ROLE CURRENT_USER PASSWORD 'theirs'")
        await database.driver.suspend(database.resource)
        with pytest.raises(psycopg.OperationalError):
            await customer.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
            await session(database.url, password="theirs")
        await database.driver.resume(database.resource)
        assert await value(await session(database.url, password="theirs"), "SELECT 1") == 1

    async def test_sessions_that_hold_transactions_and_locks_end_too(self, sold, session):
        database = await sold()
        busy = await session(database.url)
        await busy.execute("CREATE TABLE t (id int); BEGIN; LOCK TABLE t; SET ROLE NONE")
        await busy.execute("ALTER ROLE CURRENT_USER PASSWORD 'theirs'")
        await database.driver.suspend(database.resource)
        with pytest.raises(psycopg.OperationalError):
            await busy.execute("SELECT 1")

    async def test_a_login_cannot_let_itself_in_again_from_another_database(self, sold, session):
        suspended, other = await sold(), await sold()
        await suspended.driver.suspend(suspended.resource)
        stranger = await session(other.url)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await stranger.execute(f"ALTER ROLE {suspended.name}_g1 LOGIN")

    async def test_while_read_only_it_stays_read_only_through_it(self, sold, session):
        database = await sold()
        await (await session(database.url)).execute("CREATE TABLE t (id int)")
        await database.restrict()
        await database.driver.suspend(database.resource)
        await database.driver.resume(database.resource)
        with pytest.raises(psycopg.Error):
            await (await session(database.url)).execute("INSERT INTO t VALUES (1)")


class TestSetAside:
    async def test_what_was_stored_comes_back_and_belongs_to_the_customer(self, sold, session, can_connect):
        database = await sold()
        await (await session(database.url)).execute("CREATE TABLE t AS SELECT 7 AS n")
        old = database.url
        await database.driver.set_aside(database.resource)
        assert not await can_connect(old)
        await bring_back(database)
        assert not await can_connect(old)
        customer = await session(database.url)
        assert await value(customer, "SELECT n FROM t") == 7
        await customer.execute("DROP TABLE t")

    async def test_it_has_another_name_and_its_room_is_sold_again(self, sold, admin, session):
        (most,) = admin.execute("SELECT floor(current_setting('max_connections')::int * 0.9)").fetchone()
        reserved = admin.execute("SHOW superuser_reserved_connections").fetchone()
        room = int(most) - int(reserved[0])
        first = await sold(connections=room)
        with pytest.raises(Refused, match="no room"):
            await sold(connections=1)
        await first.driver.set_aside(first.resource)
        assert databases(admin) == {f"{first.name}_kept"}
        second = await sold(connections=room)
        with pytest.raises(Refused, match="no room"):
            await bring_back(first)
        await second.driver.deprovision(second.resource)
        await bring_back(first)
        assert databases(admin) == {first.name}
        assert await value(await session(first.url), "SELECT 1") == 1

    async def test_what_is_not_there_cannot_be_brought_back(self, sold):
        database = await sold()
        await database.driver.set_aside(database.resource)
        await database.driver.deprovision(database.resource)
        with pytest.raises(Refused, match="no database any more"):
            await bring_back(database)

    async def test_a_strangers_role_that_is_named_in_it_can_go(self, sold, session, admin):
        kept, stranger = await sold(), await sold()
        customer = await session(kept.url)
        await customer.execute(f"CREATE TABLE t (id int); GRANT SELECT ON t TO {stranger.name}")
        await kept.driver.set_aside(kept.resource)
        await stranger.driver.deprovision(stranger.resource)
        assert databases(admin) == {f"{kept.name}_kept"}

    async def test_removed_it_leaves_nothing_behind(self, sold, admin):
        database = await sold()
        await database.rotate()
        await database.driver.set_aside(database.resource)
        await database.driver.deprovision(database.resource)
        assert databases(admin) == set()
        assert admin.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^addon_'").fetchall() == []

    async def test_a_session_of_an_administrator_in_it_means_later(self, sold, admin_url):
        database = await sold()
        with psycopg.connect(admin_url, dbname=database.name), pytest.raises(Retry):
            await database.driver.set_aside(database.resource)
        await database.driver.set_aside(database.resource)

    async def test_cut_off_at_any_statement_the_next_run_completes(self, sold, session, fail_at):
        database = await sold()
        await (await session(database.url)).execute("CREATE TABLE t AS SELECT 7 AS n")
        for verb in ("set_aside", "bring_back", "set_aside", "bring_back"):
            if verb == "bring_back":
                database.resource = replace(database.resource, generation=database.resource.generation + 1)
            for statement in count(1):
                with fail_at(statement) as lost, suppress(Retry):
                    await getattr(database.driver, verb)(database.resource)
                if not lost:
                    break
            made = await getattr(database.driver, verb)(database.resource)
        database.made = made
        assert await value(await session(database.url), "SELECT n FROM t") == 7


class TestInUse:
    async def test_sessions_are_counted_by_generation(self, sold, session):
        database = await sold()
        assert await database.driver.in_use(database.resource) == {1: 0}
        for _ in range(2):
            await session(database.url)
        await database.rotate()
        await session(database.url)
        assert await database.driver.in_use(database.resource) == {1: 2, 2: 1}
        await database.driver.retire(database.resource)
        assert await database.driver.in_use(database.resource) == {2: 1}

    async def test_sessions_of_others_are_not_counted(self, sold, session):
        mine, other = await sold(), await sold()
        await session(other.url)
        assert await mine.driver.in_use(mine.resource) == {1: 0}
