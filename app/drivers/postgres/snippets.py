"""How customers use their database, by the name of the config var."""

from app.drivers.base import Snippet


def snippets(config_var: str) -> tuple[Snippet, ...]:
    """One for the shell and each common language, and one for when the storage limit is reached."""
    return (
        Snippet(title="psql", text=f'psql "${config_var}"'),
        Snippet(
            title="Python",
            text=f"""\
# pip install "psycopg[binary]"
import os

import psycopg

with psycopg.connect(os.environ["{config_var}"]) as connection:
    print(connection.execute("SELECT now()").fetchone())""",
        ),
        Snippet(
            title="Node.js",
            text=f"""\
// npm install pg
import pg from "pg";

const pool = new pg.Pool({{ connectionString: process.env.{config_var} }});
console.log((await pool.query("SELECT now()")).rows[0]);""",
        ),
        Snippet(
            title="Ruby",
            text=f"""\
# gem install pg
require "pg"

connection = PG.connect(ENV.fetch("{config_var}"))
puts connection.exec("SELECT now()").getvalue(0, 0)""",
        ),
        Snippet(
            title="Free space while the database is read-only",
            text=f"""\
# a larger plan makes it writable at once; so does getting below the limit:
psql "${config_var}" -c "SET default_transaction_read_only = off" \\
    -c "TRUNCATE old_events"
# or DELETE, and then give the space back (Postgres 17 and later):
psql "${config_var}" -c "SET default_transaction_read_only = off" \\
    -c "DELETE FROM events WHERE created_at < now() - interval '90 days'" \\
    -c "VACUUM FULL events\"""",  # noqa: S608 - an example to read # nosec B608
        ),
    )
