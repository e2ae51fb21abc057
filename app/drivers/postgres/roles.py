"""The roles of one sold database: who they are, how they come and how they go.

    addon_<uuid>           owns all that is in the database; nobody logs in as it
    addon_<uuid>_g<n>      the login of generation n; acts as the owner from its first statement on, and so owns nothing
    addon_<uuid>_reader    exists while the database is read-only; the logins then act as it (see `read_only`)

The database itself stays ours: its owner could lift its connection limit. Roles of all customers live in one list that
Postgres shows to everybody, and anybody may grant things in their own database to any of them; so a role that goes may
be named in databases of strangers.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, sql

from app.drivers.postgres.server import PostgresServer, is_superuser, run
from app.errors import Retry

_TRIES_TO_GET_PAST_SESSIONS = 3


@dataclass(frozen=True, slots=True)
class Names:
    """What the things of one resource are called."""

    uuid: UUID

    @property
    def database(self) -> str:
        return f"addon_{self.uuid.hex}"

    @property
    def kept(self) -> str:
        """The database's name while it is set aside (see `closing`)."""
        return f"{self.database}_kept"

    @property
    def owner(self) -> str:
        return self.database

    @property
    def reader(self) -> str:
        return f"{self.database}_reader"

    def login(self, generation: int) -> str:
        return f"{self.database}_g{generation}"


async def role_exists(admin: AsyncConnection, role: str) -> bool:
    found = await admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [role])
    return found.rowcount > 0


async def logins(admin: AsyncConnection, names: Names) -> dict[int, str]:
    """The logins that exist, by generation."""
    found = await admin.execute(
        "SELECT rolname::text FROM pg_roles WHERE rolname ~ %s", [f"^{names.database}_g[0-9]+$"]
    )
    return {int(role.rpartition("_g")[2]): role for (role,) in await found.fetchall()}


async def create_role(admin: AsyncConnection, role: str) -> None:
    """Make a role that can do nothing yet, unless it exists."""
    if await role_exists(admin, role):
        return
    async with admin.transaction():  # half of it would be a role that we can neither use nor drop
        await run(admin, "CREATE ROLE {role} NOLOGIN NOINHERIT", role=role)
        if not is_superuser(admin):  # who may end its sessions and drop its things only as a member
            await run(admin, "GRANT {role} TO CURRENT_USER", role=role)


async def let_in(
    admin: AsyncConnection, names: Names, generation: int, password: str, *, is_suspended: bool = False
) -> None:
    """Make the login of `generation` work with `password`; run again it repairs what the customer changed.

    While the database is suspended the login is made all the same, and cannot log in yet.
    """
    login = names.login(generation)
    # Hashed here, as a client does it: the server, its log and its statistics see no clear text.
    verifier = admin.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()
    async with admin.transaction():
        await create_role(admin, login)
        may = sql.SQL("NOLOGIN" if is_suspended else "LOGIN")
        statement = sql.SQL("ALTER ROLE {} {} PASSWORD {}").format(sql.Identifier(login), may, sql.Literal(verifier))
        await admin.execute(statement)
        await act_as(admin, names, login, names.reader if await role_exists(admin, names.reader) else names.owner)


async def act_as(admin: AsyncConnection, names: Names, login: str, role: str) -> None:
    """Sessions of `login` begin as `role`, and can be only that or nothing."""
    for other in (names.owner, names.reader):
        if other != role and await role_exists(admin, other):
            await run(admin, "REVOKE {other} FROM {login}", other=other, login=login)
    await run(admin, "GRANT {role} TO {login}", role=role, login=login)
    await run(admin, "GRANT CONNECT ON DATABASE {database} TO {login}", database=names.database, login=login)
    await run(
        admin,
        "ALTER ROLE {login} IN DATABASE {database} SET role = {role}",
        login=login,
        database=names.database,
        role=role,
    )


async def end_sessions(admin: AsyncConnection, roles: Sequence[str]) -> None:
    """End what these logins are doing, and wait until it has ended (5 seconds for each session)."""
    await admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = ANY(%s)", [list(roles)]
    )


async def undisturbed(admin: AsyncConnection, roles: Sequence[str], change: Callable[[], Awaitable[None]]) -> None:
    """Run `change` when these logins have no session, whose open transaction could hold what is to be changed."""
    for _ in range(_TRIES_TO_GET_PAST_SESSIONS):
        await end_sessions(admin, roles)
        try:
            await change()
        except psycopg.errors.LockNotAvailable:
            continue
        await end_sessions(admin, roles)  # those that came meanwhile have begun on the old terms
        return
    raise Retry("Sessions of the customer hold what has to change.")


async def shut_out(admin: AsyncConnection, roles: Sequence[str]) -> None:
    """No new sessions for these logins, and an end to those they have."""

    async def forbid() -> None:
        async with admin.transaction():
            for role in roles:
                await run(admin, "ALTER ROLE {role} NOLOGIN", role=role)

    if roles:
        await undisturbed(admin, roles, forbid)


async def retire_logins(server: PostgresServer, admin: AsyncConnection, names: Names, roles: Sequence[str]) -> None:
    """Remove logins of a database that stays. What they own by way of SET ROLE NONE goes to the owner."""
    await shut_out(admin, roles)
    async with server.connect(names.database) as inside:
        for role in roles:
            await give_up_role(inside, role, to=names.owner)
    for role in roles:
        await drop_role(server, admin, role)


async def give_up_role(inside: AsyncConnection, role: str, *, to: str) -> None:
    """In this database nothing belongs to `role` and nothing is granted to it any more."""
    await run(inside, "REASSIGN OWNED BY {role} TO {to}", role=role, to=to)
    await run(inside, "DROP OWNED BY {role}", role=role)


async def drop_role(server: PostgresServer, admin: AsyncConnection, role: str) -> None:
    """Drop a role nobody can be any more, and first every grant to it, in whichever database somebody made it."""
    if not await role_exists(admin, role):
        return
    found = await admin.execute(
        """
        SELECT DISTINCT datname::text FROM pg_shdepend
        JOIN pg_roles ON pg_roles.oid = refobjid AND refclassid = 'pg_authid'::regclass
        JOIN pg_database ON pg_database.oid = dbid
        WHERE rolname = %s AND datallowconn AND datname <> current_database()
        """,
        [role],
    )
    for (database,) in await found.fetchall():
        async with server.connect(database) as stranger:
            await _drop_grants(stranger, role)
    await run(admin, "DROP OWNED BY {role}", role=role)  # also rights on shared things, such as CONNECT
    await run(admin, "DROP ROLE {role}", role=role)


async def _drop_grants(stranger: AsyncConnection, role: str) -> None:
    """A transaction left open in a stranger's database must not keep a role alive: if it does, it is ended."""
    try:
        await run(stranger, "DROP OWNED BY {role}", role=role)
    except psycopg.errors.LockNotAvailable:
        await stranger.execute(
            """
            SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
            """
        )
        await run(stranger, "DROP OWNED BY {role}", role=role)
