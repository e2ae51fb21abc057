"""The `postgres` driver: what each verb does to one database on the shared server."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta

import psycopg
from psycopg import AsyncConnection

from app.drivers.base import Driver, Measure, Provisioned, ResourceInfo, Snippet
from app.drivers.postgres import closing
from app.drivers.postgres.export import export
from app.drivers.postgres.guard import keep_guard
from app.drivers.postgres.read_only import make_read_only, make_writable
from app.drivers.postgres.roles import (
    Names,
    create_role,
    drop_role,
    let_in,
    logins,
    shut_out,
)
from app.drivers.postgres.server import (
    PostgresServer,
    busy_means_retry,
    close_other_databases,
    human_size,
    is_superuser,
    one_at_a_time,
    refuse_without_room,
    run,
)
from app.drivers.postgres.snippets import snippets
from app.errors import Refused, Retry


class Postgres(Driver):
    """Databases on the terms of one plan.

    Enforced by Postgres: `connections` (of all logins of a database together), the storage one statement may use for
    sorting (a superuser's `temp_file_limit`), and that nobody reaches another database. Enforced by measuring and then
    `restrict`: `storage_bytes`. A default that customers may change for themselves, as Postgres allows no other way:
    `statement_timeout` and `idle_in_transaction_timeout`. What a shared server shares, it shares: processor, disk speed
    and the lock table are not divided up.

    Args:
        server: shared by all plans.
        config_var: full name of the config var that gets the URL, as in the manifest.
        connections: at once, per database.
        statement_timeout: when a statement is cancelled, unless the customer sets another.
        storage_bytes: size of the database on disk; an empty one has about 8 MB.
        idle_in_transaction_timeout: when a session that forgot its transaction is ended, unless set otherwise.
    """

    def __init__(
        self,
        server: PostgresServer,
        *,
        config_var: str,
        connections: int,
        statement_timeout: timedelta,
        storage_bytes: int,
        idle_in_transaction_timeout: timedelta = timedelta(minutes=10),
    ) -> None:
        if connections < 1 or storage_bytes < 1:
            raise ValueError("a plan needs at least one connection and one byte")
        self.server = server
        self.config_var = config_var
        self.connections = connections
        self.statement_timeout = statement_timeout
        self.storage_bytes = storage_bytes
        self.idle_in_transaction_timeout = idle_in_transaction_timeout

    async def provision(self, resource: ResourceInfo) -> Provisioned:
        """Make database, owner and login.

        Raises:
            Refused: the server has no room for the plan's connections.
        """
        names = Names(resource.uuid)
        async with self.server.operation_on(resource.uuid) as admin:
            await close_other_databases(admin)
            await create_role(admin, names.owner)
            await self._create_database(admin, names)
            await self._set_limits(admin, names)
            await self._open_to_owner(admin, names)
            await self._let_in(admin, names, resource)
        return self._provisioned(resource, names)

    async def change_plan(self, resource: ResourceInfo) -> Provisioned:
        """Put the database on this plan's limits, and end sessions beyond them, idle ones first. Since what is stored
        fits, a database that was read-only for its size becomes writable.

        Raises:
            Refused: more is stored than the plan allows, or there is no room for its connections.
        """
        names = Names(resource.uuid)
        async with self.server.operation_on(resource.uuid) as admin:
            used = await _size(admin, names)
            if used > self.storage_bytes:
                raise Refused(
                    f"The database holds {human_size(used)} and the plan {resource.plan} "
                    f"has {human_size(self.storage_bytes)} of storage: remove data first, or choose a larger plan."
                )
            async with one_at_a_time(admin):
                await refuse_without_room(admin, names.database, self.connections)
                await self._set_limits(admin, names)
            await admin.execute(
                """
                SELECT pg_terminate_backend(pid) FROM (
                    SELECT pid FROM pg_stat_activity WHERE usename = ANY(%s)
                    ORDER BY state = 'idle', backend_start OFFSET %s
                ) AS surplus
                """,
                [list((await logins(admin, names)).values()), self.connections],
            )
            await make_writable(self.server, admin, names)
            await self._let_in(admin, names, resource)
        return self._provisioned(resource, names)

    async def rotate(self, resource: ResourceInfo) -> Provisioned:
        """Make the login of the new generation, read-only if the database is."""
        names = Names(resource.uuid)
        async with self.server.operation_on(resource.uuid) as admin:
            await self._let_in(admin, names, resource)
        return self._provisioned(resource, names)

    async def retire(self, resource: ResourceInfo) -> None:
        """End the sessions of older logins and drop them."""
        async with self.server.operation_on(resource.uuid) as admin:
            await closing.retire_older(self.server, admin, Names(resource.uuid), resource.generation)

    async def deprovision(self, resource: ResourceInfo) -> None:
        """Drop the database, also one that was set aside, and all its roles."""
        names = Names(resource.uuid)
        async with self.server.operation_on(resource.uuid) as admin:
            roles = list((await logins(admin, names)).values())
            await shut_out(admin, roles)
            for database in (names.database, names.kept):
                try:
                    await run(admin, "DROP DATABASE IF EXISTS {database} WITH (FORCE)", database=database)
                except psycopg.errors.InsufficientPrivilege as error:
                    # Autovacuum is in it, which only a superuser may end.
                    raise Retry("A process of the server itself is in the database.") from error
            for role in (*roles, names.reader, names.owner):
                await drop_role(self.server, admin, role)

    async def usage(self, resource: ResourceInfo) -> Sequence[Measure]:
        """Storage and open connections; nothing for a database that does not exist."""
        names = Names(resource.uuid)
        async with self.server.operation() as admin:
            await close_other_databases(admin)  # those made since the last provision
            if not await closing.database_exists(admin, names.database):
                return ()
            found = await admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND starts_with(usename::text, %s)",
                [names.database, f"{names.database}_g"],
            )
            (open_now,) = await found.fetchone() or (0,)
            return (
                Measure(
                    name="storage",
                    used=await _size(admin, names),
                    limit=self.storage_bytes,
                    unit="bytes",
                    enforced=True,
                ),
                Measure(name="connections", used=open_now, limit=self.connections, unit="count"),
            )

    async def restrict(self, resource: ResourceInfo, *, read_only: bool) -> None:
        """Refuse writes, whatever the customer sets, or allow them again; see `read_only` for what stays possible."""
        names = Names(resource.uuid)
        async with self.server.operation_on(resource.uuid) as admin:
            if read_only:
                await make_read_only(self.server, admin, names)
            else:
                await make_writable(self.server, admin, names)

    async def in_use(self, resource: ResourceInfo) -> Mapping[int, int]:
        """Open sessions of each login."""
        async with self.server.operation() as admin:
            return await closing.sessions_by_generation(admin, Names(resource.uuid))

    async def suspend(self, resource: ResourceInfo) -> None:
        """End all sessions and let nobody log in."""
        async with self.server.operation_on(resource.uuid) as admin:
            await closing.suspend(admin, Names(resource.uuid))

    async def resume(self, resource: ResourceInfo) -> None:
        """Let every login in again, with the password it had."""
        async with self.server.operation_on(resource.uuid) as admin:
            await closing.resume(admin, Names(resource.uuid))

    async def set_aside(self, resource: ResourceInfo) -> None:
        """Close the database and rename it."""
        async with self.server.operation_on(resource.uuid) as admin:
            await closing.set_aside(admin, Names(resource.uuid))

    async def bring_back(self, resource: ResourceInfo) -> Provisioned:
        """Give the database its name again and a new login; the older ones are dropped.

        Raises:
            Refused: it is gone, or the server has no room for the plan's connections.
        """
        names = Names(resource.uuid)
        async with self.server.operation_on(resource.uuid) as admin:
            await closing.bring_back(admin, names, connections=self.connections)
            await self._set_limits(admin, names)
            await closing.retire_older(self.server, admin, names, resource.generation)
            await self._let_in(admin, names, resource)
        return self._provisioned(resource, names)

    async def export(self, resource: ResourceInfo) -> AsyncIterator[bytes]:
        """A script for psql, packed with gzip; see `export`.

        Raises:
            Refused: there is no database.
            Retry: the server cannot do it now, or has broken off.
        """
        names = Names(resource.uuid)
        async with self.server.operation() as admin:
            found = [name for name in (names.database, names.kept) if await closing.database_exists(admin, name)]
        if not found:
            raise Refused("There is no database that could be exported.")
        with busy_means_retry():
            async for piece in export(self.server, found[0]):
                yield piece

    async def guard(self) -> None:
        """Keep the server open to everybody; once for all plans on it."""
        await keep_guard(self.server)

    def snippets(self) -> Sequence[Snippet]:
        """How to connect from a shell and the common languages, and how to free space while read-only."""
        return snippets(self.config_var)

    async def _create_database(self, admin: AsyncConnection, names: Names) -> None:
        """Make the database closed to all: strangers could otherwise connect in the moment before CONNECT is revoked,
        and stay. `template0` has nothing in it that somebody added.
        """
        async with one_at_a_time(admin):
            if await closing.database_exists(admin, names.database):
                return
            await refuse_without_room(admin, names.database, self.connections)
            await run(
                admin,
                "CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' "
                "ALLOW_CONNECTIONS false CONNECTION LIMIT {connections}",
                database=names.database,
                connections=self.connections,
            )

    async def _set_limits(self, admin: AsyncConnection, names: Names) -> None:
        database = names.database
        settings = {
            "statement_timeout": _milliseconds(self.statement_timeout),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle_in_transaction_timeout),
        }
        if is_superuser(admin):
            settings["temp_file_limit"] = max(self.storage_bytes // 1024, 1)  # kB, per session
        async with admin.transaction():
            await run(admin, "ALTER DATABASE {d} CONNECTION LIMIT {n}", d=database, n=self.connections)
            for setting, value in settings.items():
                await run(admin, "ALTER DATABASE {d} SET {setting} = {value}", d=database, setting=setting, value=value)

    async def _open_to_owner(self, admin: AsyncConnection, names: Names) -> None:
        """Let the owner role, and nobody else, connect and create; `public` is the owner's to change or drop."""
        database, owner = names.database, names.owner
        async with admin.transaction():
            await run(admin, "REVOKE ALL ON DATABASE {d} FROM PUBLIC", d=database)
            await run(admin, "GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {d} TO {owner}", d=database, owner=owner)
            await run(admin, "ALTER DATABASE {d} ALLOW_CONNECTIONS true", d=database)
        async with self.server.connect(database) as inside:
            found = await inside.execute(
                "SELECT FROM pg_namespace WHERE nspname = 'public' AND pg_get_userbyid(nspowner) <> %s", [owner]
            )
            if found.rowcount:
                await run(inside, "ALTER SCHEMA public OWNER TO {owner}", owner=owner)

    async def _let_in(self, admin: AsyncConnection, names: Names, resource: ResourceInfo) -> None:
        password, is_suspended = _password(resource), resource.is_suspended
        await let_in(admin, names, resource.generation, password, is_suspended=is_suspended)

    def _provisioned(self, resource: ResourceInfo, names: Names) -> Provisioned:
        login = names.login(resource.generation)
        url = f"postgres://{login}:{_password(resource)}@{self.server.public_address}/{names.database}"
        return Provisioned(config={self.config_var: url}, details={"database": names.database})


def _password(resource: ResourceInfo) -> str:
    return resource.secret(f"login-{resource.generation}")


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


async def _size(admin: AsyncConnection, names: Names) -> int:
    found = await admin.execute("SELECT pg_database_size(%s)", [names.database])
    (size,) = await found.fetchone() or (0,)
    return int(size)
