"""What a customer tries with the URL they were given, against the server, us and other customers."""

from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

FORBIDDEN = (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported)

BEYOND_A_CUSTOMER = [
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "ALTER ROLE SESSION_USER CREATEROLE CREATEDB",
    "ALTER ROLE SESSION_USER CONNECTION LIMIT -1",
    "ALTER ROLE SESSION_USER BYPASSRLS",
    "ALTER ROLE CURRENT_USER LOGIN",
    "CREATE ROLE helper LOGIN",
    "CREATE DATABASE another",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "SET ROLE pg_read_all_data",
    "GRANT pg_read_server_files TO CURRENT_USER",
    "ALTER SYSTEM SET max_connections = 1000",
    "ALTER DATABASE {database} CONNECTION LIMIT -1",
    "ALTER DATABASE {database} SET role = postgres",
    "ALTER DATABASE {database} OWNER TO CURRENT_USER",
    "ALTER DATABASE {database} RENAME TO mine",
    "SET temp_file_limit = -1",
    "SET session_replication_role = replica",
    "ALTER ROLE SESSION_USER SET temp_file_limit = -1",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/x'",
    "CREATE TEMP TABLE t (x text); COPY t FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_reload_conf()",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_hba_file_rules",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION postgres_fdw",
    "CREATE EXTENSION file_fdw",
    "CREATE EXTENSION pg_stat_statements",
    "CREATE EXTENSION pageinspect",
    "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc', 'system'",
    "CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'int4in'",
    "CREATE FOREIGN DATA WRAPPER w",
    "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p",
    "LOAD 'auto_explain'",
    "CREATE TABLESPACE t LOCATION '/tmp'",
    "SELECT pg_create_physical_replication_slot('s')",
    "ALTER SCHEMA pg_catalog OWNER TO CURRENT_USER",
    "CREATE TABLE pg_catalog.t (id int)",
]


@pytest.fixture
async def attacker(sold):
    return await sold()


@pytest.fixture
async def victim(sold, session):
    """Another customer, who has stored something."""
    victim = await sold()
    connection = await session(victim.url)
    await connection.execute("CREATE TABLE secrets AS SELECT 'of the victim' AS text")
    return victim


async def value(connection, query, *parameters):
    (answer,) = await (await connection.execute(query, parameters)).fetchone()
    return answer


class TestOtherDatabases:
    @pytest.mark.parametrize("database", ["postgres", "template1", "template0", "the_addons_own"])
    async def test_of_the_server_let_no_customer_in(self, attacker, admin, session, database):
        admin.execute("DROP DATABASE IF EXISTS the_addons_own")
        admin.execute("CREATE DATABASE the_addons_own")
        await attacker.driver.usage(attacker.resource)  # measuring closes what has been made since the last provision
        with pytest.raises(psycopg.OperationalError, match=r"permission denied|not currently accepting connections"):
            await session(attacker.url, dbname=database)
        admin.execute("DROP DATABASE the_addons_own")

    async def test_of_another_customer_lets_nobody_else_in(self, attacker, victim, session):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            await session(attacker.url, dbname=victim.name)

    async def test_half_made_lets_nobody_in(self, attacker, sold, session, admin, monkeypatch):
        tried = []
        before = psycopg.AsyncConnection.execute

        async def execute(self, query, *arguments, **options):
            names = [
                n for (n,) in admin.execute("SELECT datname FROM pg_database WHERE datname ~ '^addon_'").fetchall()
            ]
            for name in set(names) - {attacker.name}:
                with pytest.raises(psycopg.OperationalError, match=r"permission denied|not currently accepting"):
                    await session(attacker.url, dbname=name)
                tried.append(name)
            return await before(self, query, *arguments, **options)

        with monkeypatch.context() as patch:  # between any two of our statements the attacker tries the new database
            patch.setattr(psycopg.AsyncConnection, "execute", execute)
            await sold()
        assert len(tried) > 5

    async def test_are_not_measurable(self, attacker, victim, session):
        customer = await session(attacker.url)
        with pytest.raises(FORBIDDEN):
            await customer.execute("SELECT pg_database_size(%s)", [victim.name])

    async def test_tables_are_not_listed(self, attacker, victim, session):
        customer = await session(attacker.url)
        assert await value(customer, "SELECT count(*) FROM pg_class WHERE relname = 'secrets'") == 0

    async def test_queries_are_not_shown(self, attacker, victim, session, admin):
        busy = await session(victim.url)
        await busy.execute("SELECT 'of the victim'")
        customer = await session(attacker.url)
        shown = await customer.execute("SELECT query FROM pg_stat_activity WHERE usename <> session_user")
        assert {query for (query,) in await shown.fetchall()} <= {"<insufficient privilege>"}

    async def test_sessions_cannot_be_ended(self, attacker, victim, session):
        theirs = await session(victim.url)
        customer = await session(attacker.url)
        with pytest.raises(FORBIDDEN):
            await customer.execute("SELECT pg_terminate_backend(%s)", [theirs.info.backend_pid])


class TestMorePower:
    async def test_is_refused_as_owner_and_as_bare_login(self, attacker, session, subtests):
        customer = await session(attacker.url)
        for role in (attacker.name, "NONE"):
            for statement in BEYOND_A_CUSTOMER:
                with subtests.test(statement, role=role):
                    await customer.execute(f"ROLLBACK; SET ROLE {role}")
                    with pytest.raises(FORBIDDEN):
                        await customer.execute(statement.format(database=attacker.name))

    async def test_is_not_to_be_had_through_a_function_planted_for_us(self, attacker, session, admin):
        """Our own sessions in a customer's database find Postgres' functions and operators, never the customer's."""
        customer = await session(attacker.url)
        await customer.execute(
            """
            CREATE FUNCTION steal() RETURNS boolean LANGUAGE plpgsql AS $$
            BEGIN EXECUTE format('ALTER ROLE %I SUPERUSER', session_user); RETURN true; END $$;
            CREATE FUNCTION public.format(text, name, text) RETURNS text LANGUAGE sql AS 'SELECT steal()::text';
            CREATE FUNCTION public.pg_get_userbyid(oid) RETURNS name LANGUAGE sql AS 'SELECT steal()::text::name';
            CREATE FUNCTION public.same(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT steal()';
            CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.same);
            CREATE TABLE public.pg_namespace (nspname name, nspowner oid);
            SET ROLE NONE;
            ALTER ROLE CURRENT_USER SET search_path = public, pg_catalog;
            """
        )
        await attacker.restrict()
        await attacker.lift()
        await attacker.driver.provision(attacker.resource)
        await attacker.driver.change_plan(attacker.resource)
        await attacker.rotate()
        await attacker.driver.retire(attacker.resource)
        superusers = admin.execute("SELECT array_agg(rolname::text) FROM pg_roles WHERE rolsuper").fetchone()
        assert superusers == (["postgres"],)


class TestTheServerItself:
    async def test_lets_nobody_in_without_a_password_not_even_from_itself(self, attacker, session):
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            await session(make_conninfo(attacker.url, password=""), passfile="/dev/null")
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            await session(make_conninfo(attacker.url, user="postgres", password=""), passfile="/dev/null")

    async def test_keeps_room_for_us_and_others_when_one_customer_takes_all_it_can(
        self, attacker, victim, session, can_connect
    ):
        taken = 0
        while await _stays_open(session, attacker.url):
            taken += 1
        assert taken == attacker.driver.connections
        await attacker.rotate()
        assert not await can_connect(attacker.url)  # a second login gives no second helping
        assert await can_connect(victim.url)
        _, connections = await attacker.driver.usage(attacker.resource)
        assert connections.used == attacker.driver.connections

    async def test_cancels_a_long_statement_and_says_so(self, sold, session):
        customer = await session((await sold(statement_timeout=timedelta(milliseconds=50))).url)
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            await customer.execute("SELECT count(*) FROM generate_series(1, 1000000000)")

    async def test_stops_a_statement_that_spills_more_than_the_plan_stores(self, sold, session):
        customer = await session((await sold(storage_bytes=1024 * 1024)).url)
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="temp_file_limit"):
            await customer.execute("SELECT count(*) FROM (SELECT i FROM generate_series(1, 500000) i ORDER BY -i) AS s")


class TestStayingBehind:
    @pytest.mark.parametrize(
        "statement", ["DROP DATABASE {database}", "DROP ROLE {database}_g1", "DROP ROLE {database}"]
    )
    async def test_a_customer_cannot_drop_what_we_must_find_again(self, attacker, session, statement):
        customer = await session(attacker.url)
        with pytest.raises(psycopg.Error):
            await customer.execute(statement.format(database=attacker.name))
        assert await value(await session(attacker.url), "SELECT 1") == 1

    async def test_a_login_that_owns_things_is_retired_and_the_things_stay(self, attacker, session, admin):
        customer = await session(attacker.url)
        login = await value(customer, "SELECT session_user::text")
        await customer.execute(
            f"""
            CREATE SCHEMA mine;
            GRANT ALL ON SCHEMA mine TO {login} WITH GRANT OPTION;
            SET ROLE NONE;
            GRANT CREATE ON SCHEMA mine TO PUBLIC;
            CREATE TABLE mine.t AS SELECT 1 AS n; CREATE TYPE mine.e AS ENUM ('a');
            CREATE FUNCTION mine.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
            ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
            SELECT lo_create(0);
            """
        )
        await attacker.rotate()
        await attacker.driver.retire(attacker.resource)
        assert admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [login]).rowcount == 0
        assert await value(await session(attacker.url), "SELECT n FROM mine.t") == 1

    async def test_a_transaction_left_open_does_not_keep_a_login_alive(self, attacker, session, admin):
        customer = await session(attacker.url)
        login = await value(customer, "SELECT session_user::text")
        await customer.execute("BEGIN; SET ROLE NONE; ALTER ROLE CURRENT_USER PASSWORD 'theirs'")
        await attacker.rotate()
        await attacker.driver.retire(attacker.resource)
        assert admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [login]).rowcount == 0

    async def test_grants_to_a_strangers_roles_do_not_keep_the_stranger_alive(self, attacker, victim, session, admin):
        customer = await session(attacker.url)
        login = f"{victim.name}_g1"
        await customer.execute(
            f"""
            CREATE TABLE bait (id int);
            GRANT ALL ON bait TO {login}, {victim.name};
            ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {login};
            CREATE POLICY bait ON bait TO {victim.name} USING (true);
            """
        )
        await victim.driver.deprovision(victim.resource)
        left = admin.execute("SELECT FROM pg_roles WHERE starts_with(rolname::text, %s)", [victim.name])
        assert left.rowcount == 0

    async def test_nor_do_they_with_a_transaction_left_open_on_them(self, attacker, victim, session, admin):
        customer = await session(attacker.url)
        await customer.execute(f"CREATE TABLE bait (id int); GRANT ALL ON bait TO {victim.name}")
        await customer.execute("BEGIN; LOCK TABLE bait; GRANT SELECT ON bait TO PUBLIC")
        await victim.driver.deprovision(victim.resource)
        left = admin.execute("SELECT FROM pg_roles WHERE starts_with(rolname::text, %s)", [victim.name])
        assert left.rowcount == 0

    async def test_a_password_the_customer_changed_is_ours_again_at_the_next_provision(self, attacker, session):
        customer = await session(attacker.url)
        await customer.execute("SET ROLE NONE; ALTER ROLE CURRENT_USER PASSWORD 'theirs'")
        await attacker.driver.provision(attacker.resource)
        assert await value(await session(attacker.url), "SELECT 1") == 1


async def _stays_open(session, url):
    try:
        await session(url)
    except psycopg.OperationalError as error:
        assert "too many connections" in str(error)  # noqa: PT017 - the loop ends with it
        return False
    return True
