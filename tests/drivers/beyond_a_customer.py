"""What no customer may do to what all databases of a server share, as SQL."""

import psycopg
import pytest

FORBIDDEN = (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported)

BEYOND_A_CUSTOMER = [
    # other roles, whatever they are called
    "SET ROLE {victim}",
    "SET ROLE {victim}_g1",
    "SET SESSION AUTHORIZATION {victim}_g1",
    "GRANT {victim} TO CURRENT_USER",
    "GRANT {victim}_g1 TO CURRENT_USER",
    "GRANT {owner} TO {victim}",
    'CREATE ROLE "addon_x; DROP DATABASE postgres"',
    'ALTER ROLE {owner}_g1 RENAME TO "postgres "',
    'ALTER ROLE {owner} RENAME TO "Postgres"',
    "ALTER ROLE {victim}_g1 PASSWORD 'mine'",
    "ALTER ROLE {victim}_g1 SET search_path = evil",
    "ALTER ROLE ALL SET search_path = evil",
    "ALTER ROLE SESSION_USER VALID UNTIL 'infinity'",
    "ALTER ROLE SESSION_USER REPLICATION",
    "DROP OWNED BY {victim}",
    "REASSIGN OWNED BY {victim} TO CURRENT_USER",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {victim} GRANT ALL ON TABLES TO PUBLIC",
    # what is said about shared things
    "COMMENT ON DATABASE {owner} IS 'free'",
    "COMMENT ON ROLE {owner} IS '''; DROP DATABASE postgres; --'",
    "COMMENT ON TABLESPACE pg_default IS 'mine'",
    "SECURITY LABEL ON ROLE {owner} IS 'x'",
    "ALTER DATABASE {victim} SET statement_timeout = 1",
    "ALTER DATABASE {owner} RESET statement_timeout",
    "ALTER DATABASE {owner} IS_TEMPLATE true",
    "DROP DATABASE {victim}",
    "CREATE DATABASE copy TEMPLATE {victim}",
    "ALTER TABLESPACE pg_default OWNER TO CURRENT_USER",
    "ALTER DATABASE {owner} SET TABLESPACE pg_global",
    # settings of the whole server, and those that would blind its operator
    "SET log_statement = 'none'",
    "SET log_min_messages = 'panic'",
    "SET log_min_error_statement = 'panic'",
    "SET log_duration = on",
    "SET lc_messages = 'C'",
    "SET deadlock_timeout = '1h'",
    "SET track_activities = off",
    "SET zero_damaged_pages = on",
    "SET allow_system_table_mods = on",
    "SET session_preload_libraries = 'auto_explain'",
    "ALTER ROLE SESSION_USER SET session_preload_libraries = 'auto_explain'",
    "ALTER ROLE SESSION_USER SET log_statement = 'none'",
    "ALTER ROLE SESSION_USER IN DATABASE {owner} SET temp_file_limit = -1",
    "ALTER SYSTEM RESET ALL",
    # files, programs, and code that is not Postgres' own
    "SELECT lo_export(lo_from_bytea(0, 'x'), '/tmp/x')",
    "SELECT pg_read_binary_file('postgresql.conf')",
    "SELECT pg_stat_file('postgresql.conf')",
    "SELECT pg_ls_logdir()",
    "SELECT pg_ls_waldir()",
    "SELECT pg_ls_tmpdir()",
    "SELECT pg_file_write('x', 'y', false)",
    "SELECT pg_current_logfile()",
    "CREATE EXTENSION adminpack",
    "CREATE EXTENSION plpython3u",
    "CREATE EXTENSION plperlu",
    "CREATE EXTENSION pltclu",
    "CREATE LANGUAGE plpython3u",
    "CREATE EXTENSION pg_buffercache",
    "CREATE EXTENSION pg_walinspect",
    "CREATE EXTENSION amcheck",
    "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1')",
    "CREATE ACCESS METHOD evil TYPE TABLE HANDLER heap_tableam_handler",
    "CREATE CAST (text AS int4) WITHOUT FUNCTION",
    "UPDATE pg_proc SET prosecdef = true",
    "UPDATE pg_database SET datconnlimit = -1",
    "INSERT INTO pg_auth_members DEFAULT VALUES",
    "DELETE FROM pg_class",
    # the log that is written ahead, and copies of the server
    "SELECT pg_create_logical_replication_slot('s', 'pgoutput')",
    "SELECT pg_drop_replication_slot('s')",
    "SELECT pg_replication_origin_create('o')",
    "CREATE PUBLICATION p FOR ALL TABLES",
    "SELECT pg_switch_wal()",
    "SELECT pg_backup_start('x')",
    "SELECT pg_promote()",
    "CHECKPOINT",
    # sessions and statistics of others
    "SELECT pg_stat_reset()",
    "SELECT pg_stat_reset_shared('bgwriter')",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_log_backend_memory_contexts(pg_backend_pid())",
    "SELECT rolpassword FROM pg_authid",
    "SELECT passwd FROM pg_shadow",
    "SELECT subconninfo FROM pg_subscription",
    "SELECT umoptions FROM pg_user_mapping",
    "SELECT * FROM pg_statistic",
    "SELECT * FROM pg_largeobject",
    "BEGIN; LOCK TABLE pg_database IN ROW EXCLUSIVE MODE",
    "BEGIN; LOCK TABLE pg_roles",
    "BEGIN; LOCK TABLE pg_authid IN ACCESS SHARE MODE",
    "BEGIN; LOCK TABLE pg_class IN ACCESS EXCLUSIVE MODE",
    "SELECT FROM pg_database FOR UPDATE",
]
# Not there in this build or version of Postgres; nobody gets anything by it.
NOT_THERE = (psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedFile, psycopg.errors.UndefinedObject)
# Said of what no role at all may do in this way.
NEVER = (
    psycopg.errors.InvalidParameterValue,
    psycopg.errors.CantChangeRuntimeParam,
    psycopg.errors.ObjectNotInPrerequisiteState,
)


async def try_all(attacker, victim, session, admin, subtests) -> None:
    """Each of them, as the owner role that a session begins as and as the bare login."""
    customer = await session(attacker.url)
    before = _settings(admin)
    for role in (attacker.name, "NONE"):
        for statement in BEYOND_A_CUSTOMER:
            with subtests.test(statement, role=role):
                await customer.execute(f"ROLLBACK; SET ROLE {role}")
                with pytest.raises((*FORBIDDEN, *NOT_THERE, *NEVER)):
                    await customer.execute(statement.format(owner=attacker.name, victim=victim.name))
    assert _settings(admin) == before


def _settings(admin) -> list[str]:
    query = "SELECT array_agg(s::text ORDER BY s::text) FROM pg_db_role_setting AS s"
    (settings,) = admin.execute(query).fetchone()
    return settings
