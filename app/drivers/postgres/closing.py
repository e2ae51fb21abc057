"""A database that is closed to its customer: for a while (suspended), or after its end (set aside).

Suspended, every login stays as it is, password included, except that it cannot log in. Set aside, the database also
has another name, so that nobody takes it for one that is sold; its room is sold again. Both keep all that is stored.
"""

from psycopg import AsyncConnection

from app.drivers.postgres.roles import Names, logins, retire_logins, shut_out
from app.drivers.postgres.server import PostgresServer, one_at_a_time, refuse_without_room, run
from app.errors import Refused


async def suspend(admin: AsyncConnection, names: Names) -> None:
    """Forbid all logins, and end their sessions."""
    await shut_out(admin, list((await logins(admin, names)).values()))


async def resume(admin: AsyncConnection, names: Names) -> None:
    """Allow all logins again."""
    for login in (await logins(admin, names)).values():
        await run(admin, "ALTER ROLE {login} LOGIN", login=login)


async def set_aside(admin: AsyncConnection, names: Names) -> None:
    """Forbid all logins for good, and put the database out of sight. Connections stay possible for us alone: a
    stranger's role that is named in this database must be able to go.
    """
    await suspend(admin, names)
    if await database_exists(admin, names.database):
        await run(admin, "ALTER DATABASE {database} RENAME TO {kept}", database=names.database, kept=names.kept)


async def bring_back(admin: AsyncConnection, names: Names, *, connections: int) -> None:
    """Give a database its name again; it has no login that works then.

    Raises:
        Refused: there is no such database, or no room for its connections.
    """
    if await database_exists(admin, names.database):
        return
    if not await database_exists(admin, names.kept):
        raise Refused("There is no database any more that could be brought back.")
    async with one_at_a_time(admin):
        await refuse_without_room(admin, names.database, connections)
        await run(admin, "ALTER DATABASE {kept} RENAME TO {database}", database=names.database, kept=names.kept)


async def retire_older(server: PostgresServer, admin: AsyncConnection, names: Names, generation: int) -> None:
    """Remove every login that is older than `generation`."""
    older = [login for number, login in (await logins(admin, names)).items() if number < generation]
    if older:
        await retire_logins(server, admin, names, older)


async def database_exists(admin: AsyncConnection, database: str) -> bool:
    """Whether there is a database of this name."""
    found = await admin.execute("SELECT FROM pg_database WHERE datname = %s", [database])
    return found.rowcount > 0


async def sessions_by_generation(admin: AsyncConnection, names: Names) -> dict[int, int]:
    """How many sessions each login has, by its generation."""
    by_login = {login: generation for generation, login in (await logins(admin, names)).items()}
    found = await admin.execute(
        "SELECT usename::text, count(*) FROM pg_stat_activity WHERE usename = ANY(%s) GROUP BY usename",
        [list(by_login)],
    )
    return dict.fromkeys(by_login.values(), 0) | {by_login[login]: number for login, number in await found.fetchall()}
