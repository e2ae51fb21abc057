"""A database over its storage limit: reading and freeing space go on, writing stops, whatever the customer sets.

Postgres lets everybody turn `default_transaction_read_only` off again, so that setting is only the clear answer
("cannot execute INSERT in a read-only transaction"). What holds is that the logins stop being the owner and become a
reader who may SELECT; and, after `SET default_transaction_read_only = off`, TRUNCATE, DELETE and (Postgres 17 and
later) `VACUUM FULL`. Code of the customer that runs with the owner's rights could still write, so:

- SECURITY DEFINER functions become the reader's while the restriction lasts;
- DELETE stays refused on tables with rules, and on those whose foreign keys would run triggers or rules as the owner;
- VACUUM FULL stays refused on tables with indexes or statistics that call functions;
- grants to PUBLIC and to the logins that allow writing are taken back for good (the owner, which is what customers act
  as, never needed them);
- large objects are readable only; that takes a superuser, as those functions are the server's.

Row-level security does not bind the owner unless forced, so the reader gets a policy to the same effect. One door is
left: autovacuum evaluates index expressions as the owner at times of its own. Who writes through that is over the limit
in every measure we take, for an operator to see.
"""

from psycopg import AsyncConnection

from app.drivers.postgres.roles import (
    Names,
    act_as,
    create_role,
    drop_role,
    give_up_role,
    logins,
    role_exists,
    undisturbed,
)
from app.drivers.postgres.server import PostgresServer, is_superuser, run

_WRITING_LARGE_OBJECTS = (
    "lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea), lo_put(oid, bigint, bytea), "
    "lowrite(integer, bytea), lo_truncate(integer, integer), lo_truncate64(integer, bigint)"
)

_SCHEMAS = """
    SELECT format(statement, nspname, %(reader)s::text)
    FROM pg_namespace, unnest(ARRAY[
        'REVOKE CREATE ON SCHEMA %%1$I FROM PUBLIC',
        'REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON ALL TABLES IN SCHEMA %%1$I FROM PUBLIC',
        'REVOKE USAGE, UPDATE ON ALL SEQUENCES IN SCHEMA %%1$I FROM PUBLIC',
        'GRANT USAGE ON SCHEMA %%1$I TO %%2$I',
        'GRANT SELECT ON ALL TABLES IN SCHEMA %%1$I TO %%2$I',
        'GRANT SELECT ON ALL SEQUENCES IN SCHEMA %%1$I TO %%2$I',
        'GRANT EXECUTE ON ALL ROUTINES IN SCHEMA %%1$I TO %%2$I'
    ]) AS statement
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
"""

_TABLES = """
    WITH acting AS (
        -- foreign keys whose ON DELETE changes the other table, which Postgres does as that table's owner
        SELECT confrelid, conrelid, confdeltype FROM pg_constraint
        WHERE contype = 'f' AND confdeltype IN ('c', 'n', 'd')
    ), runs_code AS (
        SELECT EXISTS (
            SELECT FROM acting JOIN pg_class ON pg_class.oid = conrelid
            WHERE confdeltype <> 'c' OR relhasrules
               OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = conrelid AND NOT tgisinternal)
        ) AS yes
    )
    SELECT format('GRANT %%s ON %%I.%%I TO %%I', concat_ws(', ', 'TRUNCATE',
        CASE WHEN NOT relhasrules AND NOT (yes AND EXISTS (SELECT FROM acting WHERE confrelid = pg_class.oid))
             THEN 'DELETE' END,
        CASE WHEN relkind = 'r' AND current_setting('server_version_num')::int >= 170000
              AND NOT EXISTS (
                  SELECT FROM pg_index JOIN pg_class i ON i.oid = indexrelid JOIN pg_am ON pg_am.oid = i.relam
                  WHERE indrelid = pg_class.oid
                    AND (indexprs IS NOT NULL OR indpred IS NOT NULL OR amname NOT IN ('btree', 'hash', 'gin', 'brin')))
              AND NOT EXISTS (SELECT FROM pg_statistic_ext WHERE stxrelid = pg_class.oid AND stxexprs IS NOT NULL)
             THEN 'MAINTAIN' END
    ), nspname, relname, %(reader)s::text)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace CROSS JOIN runs_code
    WHERE relkind IN ('r', 'p') AND pg_get_userbyid(relowner) = %(owner)s AND nspname !~ '^pg_'
"""

_POLICIES = """
    SELECT format(statement, %(reader)s::text, nspname, relname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace,
         unnest(ARRAY[
             'DROP POLICY IF EXISTS %%1$I ON %%2$I.%%3$I', 'CREATE POLICY %%1$I ON %%2$I.%%3$I TO %%1$I USING (true)'
         ]) AS statement
    WHERE relrowsecurity AND NOT relforcerowsecurity AND pg_get_userbyid(relowner) = %(owner)s AND nspname !~ '^pg_'
"""

_DEFINERS = """
    SELECT format(statement, nspname, %(reader)s::text, routine)
    FROM (
        SELECT nspname, pg_proc.oid::regprocedure::text AS routine
        FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
        WHERE prosecdef AND pg_get_userbyid(proowner) = %(owner)s AND nspname !~ '^pg_'
    ) AS definer, unnest(ARRAY[
        -- without a superuser, the new owner of a function must be allowed to create in its schema
        'GRANT CREATE ON SCHEMA %%1$I TO %%2$I',
        'ALTER ROUTINE %%3$s OWNER TO %%2$I',
        'REVOKE CREATE ON SCHEMA %%1$I FROM %%2$I'
    ]) AS statement
"""


async def make_read_only(server: PostgresServer, admin: AsyncConnection, names: Names) -> None:
    """Refuse writes from now on. Ends all sessions, since those that run have been let in as the owner."""
    roles = list((await logins(admin, names)).values())

    async def become_reader() -> None:
        async with admin.transaction():
            await create_role(admin, names.reader)
            for login in roles:
                await act_as(admin, names, login, names.reader)
            await _set_defaults(admin, names, read_only=True)

    await undisturbed(admin, roles, become_reader)
    async with server.connect(names.database) as inside, inside.transaction():
        for login in roles:
            await give_up_role(inside, login, to=names.owner)
            await run(inside, "GRANT CONNECT ON DATABASE {database} TO {login}", database=names.database, login=login)
        if is_superuser(inside):
            await inside.execute(f"REVOKE EXECUTE ON FUNCTION {_WRITING_LARGE_OBJECTS} FROM PUBLIC")
        for query in (_SCHEMAS, _TABLES, _POLICIES, _DEFINERS):
            await _run_all(inside, query, names)


async def make_writable(server: PostgresServer, admin: AsyncConnection, names: Names) -> None:
    """Allow writes again; nothing happens to a database that is not read-only. Ends all sessions of the reader."""
    if not await role_exists(admin, names.reader):
        return
    roles = list((await logins(admin, names)).values())

    async def give_back() -> None:
        async with server.connect(names.database) as inside, inside.transaction():
            await give_up_role(inside, names.reader, to=names.owner)
            if is_superuser(inside):
                await inside.execute(f"GRANT EXECUTE ON FUNCTION {_WRITING_LARGE_OBJECTS} TO PUBLIC")

    async def become_owner() -> None:
        async with admin.transaction():
            for login in roles:
                await act_as(admin, names, login, names.owner)
            await _set_defaults(admin, names, read_only=False)

    await undisturbed(admin, roles, give_back)
    await undisturbed(admin, roles, become_owner)
    await drop_role(server, admin, names.reader)


async def _set_defaults(admin: AsyncConnection, names: Names, *, read_only: bool) -> None:
    database = names.database
    if read_only:
        await run(admin, "ALTER DATABASE {database} SET default_transaction_read_only = on", database=database)
    else:
        await run(admin, "ALTER DATABASE {database} RESET default_transaction_read_only", database=database)
    if is_superuser(admin):  # large objects have owners of their own; the reader may look at all of them
        if read_only:
            await run(admin, "ALTER DATABASE {database} SET lo_compat_privileges = on", database=database)
        else:
            await run(admin, "ALTER DATABASE {database} RESET lo_compat_privileges", database=database)


async def _run_all(inside: AsyncConnection, query: str, names: Names) -> None:
    """Run the statements that a query of the catalog answers with; Postgres' format() has quoted the names in them."""
    found = await inside.execute(query.encode(), {"owner": names.owner, "reader": names.reader})
    statements = [statement for (statement,) in await found.fetchall()]
    if statements:
        await inside.execute("; ".join(statements).encode())
