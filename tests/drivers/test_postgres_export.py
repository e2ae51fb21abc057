"""A sold database is written as a script, and psql makes the same database of it."""

import gzip
import subprocess
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from app.dev.postgres_programs import environment, find_programs
from app.errors import Refused

# A shop with a bit of everything that customers make, in an order that a careless script would get wrong.
SHOP = """
CREATE EXTENSION hstore;
CREATE SCHEMA "the shop";
CREATE TYPE mood AS ENUM ('glad', 'sad; DROP', 'it''s');
CREATE DOMAIN "the shop".price AS numeric(10, 2) DEFAULT 0 CONSTRAINT not_less CHECK (VALUE >= 0);
CREATE TYPE place AS (street text, number int);
CREATE FUNCTION next_code() RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT 'c-' || count(*) FROM "the shop".orders); END $$;
CREATE TABLE customers (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL COLLATE "C", mood mood DEFAULT 'glad',
    home place, tags hstore, photo bytea, loud text GENERATED ALWAYS AS (upper(name)) STORED
);
CREATE TABLE "the shop".orders (
    id serial PRIMARY KEY, customer int NOT NULL REFERENCES customers ON DELETE CASCADE,
    total "the shop".price, at timestamptz DEFAULT now(), code text DEFAULT public.next_code(),
    items int[] DEFAULT '{}',
    CHECK (id < 1000000)
);
CREATE UNIQUE INDEX one_code ON "the shop".orders (customer, lower(code)) WHERE total > 0;
CREATE TABLE readings (at date NOT NULL, value float8) PARTITION BY RANGE (at);
CREATE TABLE readings_2026 PARTITION OF readings FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE readings_rest PARTITION OF readings DEFAULT;
CREATE INDEX readings_value ON readings (value);
CREATE TABLE base (a int); CREATE TABLE derived (b int) INHERITS (base);
CREATE TABLE "evil\n\\! touch /tmp/never" ("a\tb" text, "C" text);
CREATE TABLE nothing ();
CREATE SEQUENCE numbers START 7 INCREMENT 3;
CREATE VIEW glad AS SELECT * FROM customers WHERE mood = 'glad';
CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(total) FROM "the shop".orders GROUP BY 1;
CREATE UNIQUE INDEX ON totals (customer);
CREATE FUNCTION name_of(c customers) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT c.name';
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := NEW.name || ''!''; RETURN NEW; END';
CREATE TRIGGER noting BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION noted();
INSERT INTO customers (name, mood, home, tags, photo) VALUES
    (E'Ada\\\\.\\nLovelace\\t', 'it''s', ROW('Main; --', 7), 'a=>1', '\\x00ff5c'), ('Ünï', NULL, NULL, NULL, NULL);
INSERT INTO "the shop".orders (customer, total, items) VALUES (1, 9.99, '{1,NULL,3}'), (2, 0, NULL);
INSERT INTO readings VALUES ('2026-05-05', 'NaN'), ('1999-01-01', '-Infinity');
INSERT INTO base VALUES (1); INSERT INTO derived VALUES (2, 3);
INSERT INTO "evil\n\\! touch /tmp/never" VALUES (E'\\\\! touch /tmp/never', '\\.');
SELECT nextval('numbers'), nextval('numbers');
REFRESH MATERIALIZED VIEW totals;
"""

TELL = (
    "SELECT id, name, mood::text, home::text, tags::text, photo, loud FROM customers ORDER BY id",
    'SELECT * FROM "the shop".orders ORDER BY id',
    "SELECT tableoid::regclass::text, at, value::text FROM readings ORDER BY at",
    "SELECT tableoid::regclass::text, * FROM base ORDER BY a",
    "SELECT b FROM derived",
    'SELECT * FROM "evil\n\\! touch /tmp/never"',
    "SELECT last_value, is_called FROM numbers",
    "SELECT * FROM totals ORDER BY 1",
    "SELECT name FROM glad",
    "SELECT name_of(customers) FROM customers ORDER BY id",
    "SELECT indexdef FROM pg_indexes WHERE schemaname IN ('public', 'the shop') ORDER BY 1",
    (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype <> 'n'"
        " AND connamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'the shop')) ORDER BY 1, 2"
    ),
    "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    (
        "SELECT p.oid::regprocedure::text, prosrc FROM pg_proc p WHERE pronamespace = 'public'::regnamespace"
        " AND prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c') ORDER BY 1"
    ),
    (
        "SELECT table_schema, table_name, column_name, data_type, column_default, is_nullable, is_identity,"
        " is_generated, collation_name FROM information_schema.columns WHERE table_schema IN ('public', 'the shop')"
        " ORDER BY 1, 2, 3"
    ),
    "SELECT typname, pg_get_constraintdef(c.oid), typdefault FROM pg_type t JOIN pg_constraint c ON contypid = t.oid",
)


def told(url: str) -> list[object]:
    with psycopg.connect(url) as connection:
        return [connection.execute(query).fetchall() for query in TELL]


async def exported(sold) -> bytes:
    return b"".join([piece async for piece in sold.driver.export(sold.resource)])


@pytest.fixture
def load(admin, admin_url: str, tmp_path: Path):
    """Makes a database of a script with psql; its address."""
    names = []

    def load(script: bytes) -> str:
        names.append(f"loaded_{uuid4().hex}")
        admin.execute(f"CREATE DATABASE {names[-1]} TEMPLATE template0")
        url = f"{admin_url.rpartition('/')[0]}/{names[-1]}"
        file = tmp_path / "script.sql"
        file.write_bytes(gzip.decompress(script))
        psql = [str(find_programs() / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={file}", url]
        done = subprocess.run(psql, capture_output=True, text=True, env=environment(), check=False)
        assert done.returncode == 0, done.stderr
        return url

    yield load
    for name in names:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_psql_makes_the_same_database_of_what_was_exported(sold, session, load):
    database = await sold()
    customer = await session(database.url)
    await customer.execute(SHOP)
    url = load(await exported(database))
    assert told(url) == told(database.url)
    with psycopg.connect(url) as connection:
        new = "INSERT INTO customers (name) VALUES ('Bo') RETURNING id, name"
        assert connection.execute(new).fetchone() == (3, "Bo!")
        assert connection.execute("SELECT nextval('numbers')").fetchone() == (13,)
    assert not Path("/tmp/never").exists()


async def test_what_is_set_aside_or_suspended_can_be_exported(sold, session, load):
    database = await sold()
    customer = await session(database.url)
    await customer.execute("CREATE TABLE notes AS SELECT 'kept' AS text")
    for close in (database.driver.suspend, database.driver.set_aside):
        await close(database.resource)
        with psycopg.connect(load(await exported(database))) as connection:
            assert connection.execute("SELECT text FROM notes").fetchone() == ("kept",)


async def test_what_is_gone_is_refused(sold):
    database = await sold()
    await database.driver.deprovision(database.resource)
    with pytest.raises(Refused, match="no database that could be exported"):
        await exported(database)


async def test_nothing_of_the_customers_is_run_and_policies_hide_nothing(sold, session, load):
    """The administrator reads: what a customer could have run by that would be run by the administrator."""
    database = await sold()
    customer = await session(database.url)
    await customer.execute(
        """
        CREATE FUNCTION trap() RETURNS boolean LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'run as %', session_user; END $$;
        CREATE TABLE secrets (id int); INSERT INTO secrets VALUES (1), (2);
        ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; ALTER TABLE secrets FORCE ROW LEVEL SECURITY;
        CREATE POLICY hide ON secrets USING (trap());
        CREATE VIEW trapped AS SELECT trap();
        CREATE TABLE lure (id int DEFAULT trap()::int);
        CREATE RULE watched AS ON UPDATE TO lure DO INSTEAD SELECT trap();
        CREATE FUNCTION public.format(text, text) RETURNS text LANGUAGE sql AS 'SELECT trap()::text';
        """
    )
    with psycopg.connect(load(await exported(database))) as connection:
        assert connection.execute("SELECT count(*) FROM secrets").fetchone() == (2,)
