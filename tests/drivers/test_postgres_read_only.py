"""A database over its storage limit: no way to write, whatever the customer set or prepared; reading goes on."""

from contextlib import suppress

import psycopg
import pytest

BEFORE = """
    CREATE TABLE orders (id int PRIMARY KEY, note text DEFAULT 'x');
    INSERT INTO orders SELECT generate_series(1, 10);
    CREATE SEQUENCE numbers;
    CREATE VIEW all_orders AS SELECT * FROM orders;
    CREATE MATERIALIZED VIEW many AS SELECT generate_series(1, 10);
    CREATE TYPE mood AS ENUM ('ok');
    CREATE SCHEMA other; CREATE TABLE other.notes (id int);
    SELECT lo_from_bytea(4711, 'large');
"""

WRITES = [
    "INSERT INTO orders VALUES (99)",
    "UPDATE orders SET note = repeat('x', 1000)",
    "INSERT INTO all_orders VALUES (99)",
    "INSERT INTO other.notes VALUES (1)",
    "MERGE INTO orders USING (SELECT 99 AS id) s ON false WHEN NOT MATCHED THEN INSERT VALUES (s.id)",
    "WITH w AS (INSERT INTO orders VALUES (99) RETURNING 1) SELECT * FROM w",
    "COPY orders FROM '/dev/null'",
    "CREATE TABLE t (id int)",
    "CREATE TABLE other.t (id int)",
    "CREATE TEMP TABLE t (id int)",
    "CREATE SCHEMA s",
    "CREATE INDEX ON orders (note)",
    "ALTER TABLE orders ADD more text DEFAULT 'x'",
    "ALTER TYPE mood ADD VALUE 'good'",
    "CREATE EXTENSION hstore",
    "REFRESH MATERIALIZED VIEW many",
    "SELECT * INTO t FROM orders",
    "SELECT nextval('numbers')",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_put(4711, 10, 'x')",
    "SELECT lowrite(lo_open(4711, 131072), 'x')",
    "SELECT lo_truncate(lo_open(4711, 131072), 100000)",
    "GRANT ALL ON orders TO PUBLIC; INSERT INTO orders VALUES (99)",
    "ALTER TABLE orders OWNER TO CURRENT_USER",
    "GRANT {database} TO CURRENT_USER",
    "SET ROLE {database}",
]

REFUSALS = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)


async def value(connection, query, *parameters):
    (answer,) = await (await connection.execute(query, parameters)).fetchone()
    return answer


@pytest.fixture
async def full(sold, session):
    """A database with something of everything in it."""
    database = await sold()
    await (await session(database.url)).execute(BEFORE)
    return database


@pytest.fixture
def stubborn(session):
    """A session that turns read-only off, as everybody may."""

    async def connect(database):
        customer = await session(database.url)
        await customer.execute("SET default_transaction_read_only = off")
        return customer

    return connect


class TestWhileReadOnly:
    async def test_a_write_is_refused_in_words_that_say_why(self, full, session):
        await full.restrict()
        customer = await session(full.url)
        with pytest.raises(psycopg.Error, match="cannot execute INSERT in a read-only transaction"):
            await customer.execute("INSERT INTO orders VALUES (99)")

    async def test_all_can_be_read(self, full, session):
        await full.restrict()
        customer = await session(full.url)
        assert await value(customer, "SELECT count(*) FROM orders") == 10
        assert await value(customer, "SELECT count(*) FROM all_orders") == 10
        assert await value(customer, "SELECT count(*) FROM many") == 10
        assert await value(customer, "SELECT count(*) FROM other.notes") == 0
        assert await value(customer, "SELECT last_value FROM numbers") == 1
        assert await value(customer, "SELECT lo_get(4711)") == b"large"

    async def test_every_write_is_refused_whatever_is_set(self, full, stubborn, subtests):
        await full.restrict()
        customer = await stubborn(full)
        for prelude in ("RESET ROLE", "SET ROLE NONE", "DISCARD ALL; SET default_transaction_read_only = off"):
            for part in prelude.split("; "):
                await customer.execute(part)
            for statement in WRITES:
                with subtests.test(statement, after=prelude), pytest.raises(REFUSALS):
                    await customer.execute(statement.format(database=full.name))

    async def test_settings_of_the_login_do_not_bring_the_owner_back(self, full, stubborn, session):
        await full.restrict()
        customer = await stubborn(full)
        await customer.execute("SET ROLE NONE")
        await customer.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {full.name} SET role = '{full.name}'")
        await customer.execute("ALTER ROLE CURRENT_USER SET default_transaction_read_only = off")
        customer = await session(full.url)
        with pytest.raises(REFUSALS):
            await customer.execute("INSERT INTO orders VALUES (99)")

    async def test_sessions_from_before_are_ended(self, full, session):
        before = await session(full.url)
        await full.restrict()
        with pytest.raises(psycopg.OperationalError):
            await before.execute("INSERT INTO orders VALUES (99)")

    async def test_sessions_opened_meanwhile_cannot_write_either(self, sold, session, monkeypatch):
        database = await sold(connections=200)
        await (await session(database.url)).execute("CREATE TABLE orders (id int)")
        opened = []
        before = psycopg.AsyncConnection.execute

        async def execute(self, query, *arguments, **options):
            if self.info.user == "postgres":
                opened.append(await session(database.url))
            return await before(self, query, *arguments, **options)

        with monkeypatch.context() as patch:  # before each of our statements the customer connects once more
            patch.setattr(psycopg.AsyncConnection, "execute", execute)
            await database.restrict()
        assert len(opened) > 10
        for customer in opened:
            with pytest.raises((*REFUSALS, psycopg.OperationalError)):
                await customer.execute("SET default_transaction_read_only = off; INSERT INTO orders VALUES (99)")

    async def test_a_new_login_is_read_only_too(self, full, stubborn):
        await full.restrict()
        await full.rotate()
        customer = await stubborn(full)
        with pytest.raises(REFUSALS):
            await customer.execute("INSERT INTO orders VALUES (99)")
        await full.driver.retire(full.resource)
        assert await value(customer, "SELECT count(*) FROM orders") == 10

    async def test_space_can_be_freed(self, full, stubborn):
        await full.restrict()
        customer = await stubborn(full)
        await customer.execute("DELETE FROM orders WHERE id < 5")
        assert await value(customer, "SELECT count(*) FROM orders") == 6
        if customer.info.server_version >= 170000:
            await customer.execute("VACUUM FULL orders")
        await customer.execute("TRUNCATE orders")
        await customer.execute("SELECT lo_unlink(4711)")
        assert await value(customer, "SELECT count(*) FROM orders") == 0

    async def test_row_level_security_hides_nothing_that_the_owner_saw(self, full, session):
        customer = await session(full.url)
        await customer.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
        await full.restrict()
        await full.restrict()
        assert await value(await session(full.url), "SELECT count(*) FROM orders") == 10

    async def test_forced_row_level_security_stays_forced(self, full, session):
        customer = await session(full.url)
        await customer.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        await full.restrict()
        assert await value(await session(full.url), "SELECT count(*) FROM orders") == 0


class TestPreparedBefore:
    """What a customer can leave in the database while it is writable, so as to write later."""

    @pytest.mark.parametrize(
        ("preparation", "attack"),
        [
            ("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC", "INSERT INTO orders VALUES (99)"),
            ("GRANT INSERT (id) ON orders TO PUBLIC", "INSERT INTO orders VALUES (99)"),
            ("GRANT CREATE ON SCHEMA public TO PUBLIC", "CREATE TABLE t (id int)"),
            ("GRANT ALL ON orders TO {login}", "SET ROLE NONE; INSERT INTO orders VALUES (99)"),
            (
                "GRANT CREATE, USAGE ON SCHEMA other TO {login} WITH GRANT OPTION",
                "SET ROLE NONE; CREATE TABLE other.t ()",
            ),
            (
                "CREATE FUNCTION put() RETURNS void SECURITY DEFINER LANGUAGE sql AS 'INSERT INTO orders VALUES (99)'",
                "SELECT put()",
            ),
            (
                "CREATE PROCEDURE other.put() SECURITY DEFINER LANGUAGE sql AS 'INSERT INTO orders VALUES (99)'",
                "CALL other.put()",
            ),
            (
                "CREATE FUNCTION open() RETURNS void SECURITY DEFINER LANGUAGE sql AS 'GRANT ALL ON orders TO PUBLIC'",
                "SELECT open(); INSERT INTO orders VALUES (99)",
            ),
            (
                "CREATE RULE r AS ON DELETE TO orders DO ALSO INSERT INTO other.notes VALUES (1)",
                "DELETE FROM orders WHERE id = 1",
            ),
            (
                "CREATE RULE r AS ON DELETE TO all_orders DO INSTEAD INSERT INTO orders VALUES (99)",
                "DELETE FROM all_orders",
            ),
            (
                """
                CREATE FUNCTION put() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql
                AS $$ BEGIN INSERT INTO other.notes VALUES (1); RETURN NULL; END $$;
                CREATE TRIGGER t AFTER TRUNCATE ON orders EXECUTE FUNCTION put();
                """,
                "TRUNCATE orders",
            ),
            (
                """
                CREATE TABLE lines (order_id int REFERENCES orders ON DELETE CASCADE);
                INSERT INTO lines VALUES (1);
                CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql
                AS $$ BEGIN INSERT INTO other.notes VALUES (1); RETURN NULL; END $$;
                CREATE TRIGGER t AFTER DELETE ON lines FOR EACH ROW EXECUTE FUNCTION put();
                """,
                "DELETE FROM orders WHERE id = 1",
            ),
            (
                """
                CREATE FUNCTION put() RETURNS int LANGUAGE plpgsql
                AS $$ BEGIN INSERT INTO other.notes VALUES (1); RETURN 1; END $$;
                CREATE FUNCTION lie(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
                CREATE INDEX ON orders (lie(id));
                CREATE OR REPLACE FUNCTION lie(int) RETURNS int IMMUTABLE LANGUAGE plpgsql
                AS $$ BEGIN PERFORM public.put(); RETURN 1; END $$;
                """,
                "VACUUM FULL orders",
            ),
        ],
    )
    async def test_does_not_write(self, full, session, stubborn, preparation, attack):
        customer = await session(full.url)
        await customer.execute(preparation.format(login=await value(customer, "SELECT session_user::text")))
        await full.restrict()
        customer = await stubborn(full)
        with suppress(*REFUSALS):
            await customer.execute(attack)
        await full.lift()
        customer = await session(full.url)
        assert await value(customer, "SELECT count(*) FROM orders WHERE id = 99") == 0
        assert await value(customer, "SELECT count(*) FROM other.notes") == 0
        assert await value(customer, "SELECT count(*) FROM pg_class WHERE relname = 't'") == 0


class TestAfterwards:
    async def test_everything_is_as_before(self, full, session):
        customer = await session(full.url)
        await customer.execute(
            """
            CREATE FUNCTION put() RETURNS void SECURITY DEFINER LANGUAGE sql AS 'INSERT INTO orders VALUES (99)';
            ALTER TABLE other.notes ENABLE ROW LEVEL SECURITY;
            """
        )
        before = await _catalog(customer)
        await full.restrict()
        await full.lift()
        customer = await session(full.url)
        assert await _catalog(customer) == before
        await customer.execute("SELECT put(), nextval('numbers'), lo_create(0); CREATE TEMP TABLE t (id int)")
        assert await value(customer, "SELECT count(*) FROM orders") == 11

    async def test_the_login_acts_as_owner_even_if_the_customer_changed_its_settings(self, full, session):
        await full.restrict()
        customer = await session(full.url)
        await customer.execute("SET default_transaction_read_only = off")
        await customer.execute("SET ROLE NONE")
        await customer.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {full.name} RESET ALL")
        await full.lift()
        await (await session(full.url)).execute("INSERT INTO orders VALUES (99)")

    async def test_lifting_what_was_not_restricted_disturbs_nobody(self, full, session):
        customer = await session(full.url)
        await full.lift()
        assert await value(customer, "SELECT count(*) FROM orders") == 10

    async def test_a_read_only_database_can_be_deprovisioned(self, full, admin):
        await full.restrict()
        await full.driver.deprovision(full.resource)
        assert admin.execute("SELECT FROM pg_roles WHERE starts_with(rolname::text, %s)", [full.name]).rowcount == 0


async def _catalog(customer):
    """Owners, rights and policies of all that the customer has made."""
    found = await customer.execute(
        """
        SELECT relname::text, pg_get_userbyid(relowner)::text, coalesce(relacl, acldefault('r', relowner))::text
        FROM pg_class WHERE relnamespace::regnamespace::text IN ('public', 'other') AND relkind IN ('r', 'v', 'm')
        UNION ALL
        SELECT proname, pg_get_userbyid(proowner), coalesce(proacl, acldefault('f', proowner))::text
        FROM pg_proc WHERE proname IN ('put', 'lo_create')
        UNION ALL
        SELECT nspname, pg_get_userbyid(nspowner), coalesce(nspacl, acldefault('n', nspowner))::text
        FROM pg_namespace WHERE nspname IN ('public', 'other')
        UNION ALL
        SELECT polname, '', '' FROM pg_policy
        ORDER BY 1, 2
        """
    )
    return [(name, owner, sorted(acl.strip("{}").split(","))) for name, owner, acl in await found.fetchall()]
