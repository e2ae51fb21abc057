"""What of a server's own settings leaves customers more than they should have; said in the log when the worker starts.

None of it can be changed from here: some takes a restart, all of it the one who runs the server.
"""

from psycopg import AsyncConnection

from app.drivers.postgres.server import SOLD_DATABASES, is_superuser

# What a web process and a worker may need of the driver at once, with something over for an operator.
_OURS = 10
_LONGEST_AUTHENTICATION_SECONDS = 15


async def weaknesses(admin: AsyncConnection) -> list[str]:
    """Sentences that say what to set, and why."""
    found = []
    others = await _names(
        admin,
        "SELECT datname::text FROM pg_database WHERE NOT datistemplate AND datname !~ %s AND datname <> 'postgres'",
        [f"{SOLD_DATABASES[:-1]}(_kept)?$"],
    )
    if others:
        found.append(
            f"Customers share the server with {', '.join(others)}: what exhausts it (connections that never log in, "
            "locks, memory, notifications) stops that, too. Sell databases on a server of its own."
        )
    found += [
        f"Customers can log in to {name}: REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC."
        for name in await _names(
            admin,
            "SELECT datname::text FROM pg_database WHERE datallowconn AND datconnlimit <> -2 "
            "AND has_database_privilege('public', oid, 'CONNECT')",
        )
    ]
    if is_superuser(admin):
        if await _number(admin, "superuser_reserved_connections") < _OURS:
            found.append(
                f"Customers can keep us from connecting: set superuser_reserved_connections to {_OURS} or more."
            )
        if await _names(admin, "SELECT DISTINCT auth_method FROM pg_hba_file_rules WHERE auth_method = 'trust'"):
            found.append("pg_hba.conf has lines with `trust`: whoever they are for needs no password.")
    else:
        if await _number(admin, "reserved_connections") < _OURS or not await _may_use_reserved(admin):
            found.append(
                f"Customers can keep us out: set reserved_connections to {_OURS} or more (Postgres 16), "
                "and GRANT pg_use_reserved_connections to the driver's role."
            )
        if await _number(admin, "temp_file_limit") < 0:
            found.append("One statement can fill the disk: set temp_file_limit, which takes a superuser.")
    if await _number(admin, "authentication_timeout") > _LONGEST_AUTHENTICATION_SECONDS:
        found.append("Strangers hold connections without logging in: set authentication_timeout to 10s.")
    if await _number(admin, "max_prepared_transactions") > 0:
        found.append(
            "Customers can leave prepared transactions behind, which keep locks and keep a database from being "
            "removed: set max_prepared_transactions to 0."
        )
    return found


async def _names(admin: AsyncConnection, query: str, parameters: list[str] | None = None) -> list[str]:
    return [name for (name,) in await (await admin.execute(query.encode(), parameters)).fetchall()]


async def _number(admin: AsyncConnection, setting: str) -> int:
    """A setting in its own unit; 0 where this version of Postgres does not know it."""
    row = await admin.execute("SELECT setting::bigint FROM pg_settings WHERE name = %s", [setting])
    (number,) = await row.fetchone() or (0,)
    return int(number)


async def _may_use_reserved(admin: AsyncConnection) -> bool:
    query = (
        "SELECT rolname::text FROM pg_roles WHERE rolname = 'pg_use_reserved_connections' AND pg_has_role(oid, 'USAGE')"
    )
    return bool(await _names(admin, query))
