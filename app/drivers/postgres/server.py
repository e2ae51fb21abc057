"""The server on which databases are sold: how we connect to it, how long we wait, what we do when it cannot."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict

from app.alert_settings import is_loopback
from app.errors import Refused, Retry

# Each operation holds one connection to the admin database and at times one to a customer's: eight at most.
_OPERATIONS_AT_ONCE = 4
_CONNECT_TIMEOUT_SECONDS = 5

# A customer cannot steer our sessions in their own database: what is set here beats every ALTER DATABASE and every
# ALTER ROLE, and functions they name like Postgres' own are not found.
_OUR_SESSION = (
    "-c search_path=pg_catalog -c role=none -c default_transaction_read_only=off "
    "-c statement_timeout=60s -c lock_timeout=5s -c idle_in_transaction_session_timeout=60s"
)

# Connections (08), conflicts (40), resources (53), the operator or a time-out stepping in (57); then a lock not had in
# time, a database in use, and "tuple concurrently updated", which has no better code.
_BUSY_CLASSES = {"08", "40", "53", "57"}
_BUSY_STATES = {"55P03", "55006", "XX000"}

_ONE_AT_A_TIME = 0x61_64_64_6F_6E_5F_70_67  # names the lock under which room is counted and other databases are closed

SOLD_DATABASES = "^addon_[0-9a-f]{32}$"


class PostgresServer:
    """The server on which all plans sell databases.

    Use a server of its own: the driver takes the right to connect, which everybody has by default, away from every
    database it may change, the application's own included; owners and explicit grants keep it. As a superuser it
    enforces everything this package promises. A role with CREATEDB and CREATEROLE works too, except that it cannot
    close databases of others (`postgres`, `template1`), set `temp_file_limit` or stop large objects while read-only.

    Args:
        admin_url: `postgres://`, `postgresql://` or `postgresql+psycopg://` URL of a role that may create databases.
        public_host: host, or host:port, for customers' URLs; by default the one in `admin_url`.
    """

    def __init__(self, admin_url: str, public_host: str | None = None) -> None:
        self._parameters = conninfo_to_dict(admin_url.replace("postgresql+psycopg://", "postgresql://", 1))
        self.public_address = public_host or self._own_address()
        self.is_guarded = False
        self._turn = asyncio.Semaphore(_OPERATIONS_AT_ONCE)

    def _own_address(self) -> str:
        host = str(self._parameters.get("host") or "localhost")
        if host.startswith("/"):
            host = "localhost"
        elif ":" in host:
            host = f"[{host}]"
        return f"{host}:{self._parameters.get('port') or 5432}"

    @property
    def is_on_this_machine(self) -> bool:
        """Whether it is reached without a network: a laptop's, on which nobody is a stranger."""
        host = str(self._parameters.get("host") or "localhost")
        return host.startswith("/") or is_loopback(host)

    @asynccontextmanager
    async def operation(self) -> AsyncIterator[AsyncConnection]:
        """A connection to the admin database. Inside, a server that is busy or away raises `Retry`."""
        async with self._turn:
            with busy_means_retry():
                async with self.connect() as admin:
                    yield admin

    @asynccontextmanager
    async def operation_on(self, uuid: UUID) -> AsyncIterator[AsyncConnection]:
        """An operation that is alone with its resource, among all processes; the lock ends with the connection."""
        async with self.operation() as admin:
            await admin.execute("SELECT pg_advisory_lock(%s)", [int.from_bytes(uuid.bytes[:8], signed=True)])
            yield admin

    @asynccontextmanager
    async def connect(self, database: str | None = None) -> AsyncIterator[AsyncConnection]:
        """A connection of our own, to the admin database by default, where each statement commits by itself."""
        parameters: dict[str, Any] = {
            **self._parameters,
            "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
            "options": _OUR_SESSION,
            "application_name": "addon driver",
        }
        if database:
            parameters["dbname"] = database
        async with await AsyncConnection.connect(autocommit=True, **parameters) as connection:
            yield connection


@contextmanager
def busy_means_retry() -> Iterator[None]:
    """What the server cannot do now is a `Retry`."""
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate
        is_connection_lost = state is None and isinstance(error, psycopg.OperationalError)
        if is_connection_lost or (state and (state[:2] in _BUSY_CLASSES or state in _BUSY_STATES)):
            raise Retry(f"The Postgres server cannot do this now ({state or type(error).__name__}).") from error
        raise


def is_superuser(connection: AsyncConnection) -> bool:
    """Whether the admin role is one; told by the server when we connected."""
    return connection.pgconn.parameter_status(b"is_superuser") == b"on"


async def run(connection: AsyncConnection, statement: LiteralString, **names: str | int) -> None:
    """One statement with its `{names}` filled in: texts as quoted identifiers, numbers as literals."""
    parts = {k: sql.Identifier(v) if isinstance(v, str) else sql.Literal(v) for k, v in names.items()}
    await connection.execute(sql.SQL(statement).format(**parts))


@asynccontextmanager
async def one_at_a_time(admin: AsyncConnection) -> AsyncIterator[None]:
    """Held while room is counted and sold, so that two processes do not sell the same."""
    await admin.execute("SELECT pg_advisory_lock(%s)", [_ONE_AT_A_TIME])
    try:
        yield
    finally:
        if not admin.closed and not admin.broken:
            await admin.execute("SELECT pg_advisory_unlock(%s)", [_ONE_AT_A_TIME])


async def refuse_without_room(admin: AsyncConnection, database: str, connections: int) -> None:
    """Sell no connection twice: the limits of all sold databases, and what superusers have reserved, leave a tenth of
    `max_connections` free for ourselves and the operator.

    Raises:
        Refused: the server has no room for `connections` in `database`.
    """
    row = await admin.execute(
        """
        SELECT floor(current_setting('max_connections')::int * 0.9)
               - current_setting('superuser_reserved_connections')::int
               - coalesce(current_setting('reserved_connections', true)::int, 0)
               - coalesce(sum(datconnlimit), 0)
        FROM pg_database WHERE datname ~ %s AND datconnlimit > 0 AND datname <> %s
        """,
        [SOLD_DATABASES, database],
    )
    (free,) = await row.fetchone() or (0,)
    if free < connections:
        raise Refused(
            f"There is no room for a database with {connections} connections at the moment: "
            "choose a smaller plan, or try again later."
        )


async def close_other_databases(admin: AsyncConnection) -> None:
    """Customers connect to their own database only: take from PUBLIC what Postgres gives it in each new database."""
    row = await admin.execute(
        """
        SELECT array_agg(datname::text) FROM pg_database
        WHERE datallowconn AND datconnlimit <> -2 AND datname !~ %s AND pg_has_role(datdba, 'USAGE')
          AND (has_database_privilege('public', oid, 'CONNECT') OR has_database_privilege('public', oid, 'TEMP'))
        """,
        [SOLD_DATABASES],
    )
    (databases,) = await row.fetchone() or (None,)
    if databases:
        async with one_at_a_time(admin):
            for database in databases:
                await run(admin, "REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC", database=database)


def human_size(size: int) -> str:
    """Bytes as people say them: 64 MB, 1.5 GB."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1024:
            return f"{amount:.4g} {unit}" if amount < 10 else f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TB"
