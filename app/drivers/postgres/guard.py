"""What keeps one customer from shutting everybody out of the server they share.

Postgres has one table of locks for all databases, and whoever may log in may fill it within a second, with advisory
locks for instance. From then on nobody can connect any more, the administrator included: a login takes a lock. So a
connection is held open that looks again and again, and ends the sessions of whoever holds the most. To look takes
locks as well; so what is looked at stays locked from the first time on, in a transaction that never ends.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, NoReturn

import psycopg
import structlog
from psycopg import AsyncConnection

from app.drivers.postgres.server import SOLD_DATABASES, PostgresServer
from app.drivers.postgres.weaknesses import weaknesses

_log = structlog.get_logger(__name__)

EVERY: Final = timedelta(seconds=5)
# Of what the server promises to have room for; it has some more.
_FULL: Final = 0.75

_HOARDER: Final = """
    WITH held AS (
        SELECT datname, count(*) AS number FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT fastpath
        GROUP BY datname
    )
    SELECT datname::text, number FROM held
    WHERE datname ~ %s AND (SELECT sum(number) FROM held) > %s
          * current_setting('max_locks_per_transaction')::int
          * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)
    ORDER BY number DESC LIMIT 1
"""


async def keep_guard(server: PostgresServer) -> None:
    """Look every few seconds, until cancelled, unless somebody in this process does; a server that is away is tried
    again.
    """
    if server.is_guarded:
        return
    server.is_guarded = True
    try:
        await _look_for_ever(server)
    finally:
        server.is_guarded = False


async def _look_for_ever(server: PostgresServer) -> NoReturn:
    is_checked = False
    while True:
        with suppress(psycopg.Error, OSError):
            async with lookout(server) as admin:
                if not is_checked and not server.is_on_this_machine:
                    is_checked = True
                    for sentence in await weaknesses(admin):
                        _log.warning("the server of sold databases is open to abuse", what=sentence)
                while True:
                    await end_hoarder(admin)
                    await asyncio.sleep(EVERY.total_seconds())
        await asyncio.sleep(EVERY.total_seconds())


@asynccontextmanager
async def lookout(server: PostgresServer) -> AsyncIterator[AsyncConnection]:
    """A connection for `end_hoarder` that needs no lock any more. Between two looks its transaction keeps no snapshot,
    so it holds back no vacuum.
    """
    async with server.connect() as admin:
        await admin.execute("SET idle_in_transaction_session_timeout = 0")
        async with admin.transaction():
            # Who may end whose session is remembered until somebody changes a role, and then read here.
            await admin.execute("SELECT FROM pg_auth_members, pg_roles LIMIT 1")
            await end_hoarder(admin)
            yield admin


async def end_hoarder(admin: AsyncConnection) -> None:
    """If the table of locks is nearly full, end all sessions of the sold database that has the most of it."""
    await admin.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees the sessions of its first look
    found = await (await admin.execute(_HOARDER, [SOLD_DATABASES, _FULL])).fetchone()
    if found is None:
        return
    database, number = found
    _log.error(
        "a customer's sessions are ended: they fill the server's table of locks", database=database, locks=number
    )
    await admin.execute(
        # Autovacuum holds few, and only a superuser may end it.
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
        [database],
    )
