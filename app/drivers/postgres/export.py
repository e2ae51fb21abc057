"""A customer's database as one SQL script, which `psql` loads into an empty database.

Written here and not by pg_dump: that has to be installed, and as new as the server. And what is read here runs nothing
of the customer's: rows come from tables by COPY, which knows no views, rules or functions, and definitions from the
catalog. Everything is read in one snapshot. What a script of this kind does not hold is said at its beginning.
"""

import re
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

from psycopg import AsyncConnection, sql

from app.drivers.postgres.server import PostgresServer

_PIECE: Final = 256 * 1024

_HEAD: Final = """\
-- All that is stored in the database, as a script for psql. Load it into an empty database:
--   gunzip --stdout FILE | psql --set ON_ERROR_STOP=1 postgres://...
-- In it: schemas, extensions, types, sequences, functions, tables with their rows, constraints, indexes, views and
-- triggers.
-- Not in it: owners and grants, row security policies, rules, comments, aggregates, operators, range types, foreign
-- tables, large objects.
BEGIN;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET check_function_bodies = off;
SET LOCAL search_path = pg_catalog;

"""

# Everything but what Postgres and its extensions have brought; in the queries, `<ours: its oid, its catalog>`.
_OURS: Final = r"""n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
    SELECT FROM pg_depend e WHERE e.objid = \1 AND e.classid = '\2'::regclass AND e.deptype = 'e')"""

# Each gives statements, in the order in which they have to be run; those before the rows, and those after.
_BEFORE: Final[Sequence[str]] = (
    """SELECT format('CREATE SCHEMA IF NOT EXISTS %I;', nspname) FROM pg_namespace n
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY nspname""",
    """SELECT format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I;', extname, nspname)
    FROM pg_extension x JOIN pg_namespace n ON n.oid = extnamespace WHERE extname <> 'plpgsql' ORDER BY x.oid""",
    """SELECT format('CREATE TYPE %I.%I AS ENUM (%s);', nspname, typname,
        (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum
         WHERE enumtypid = t.oid))
    FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
    WHERE typtype = 'e' AND <ours: t.oid, pg_type> ORDER BY t.oid""",
    """SELECT CASE WHEN typtype = 'd' THEN format('CREATE DOMAIN %I.%I AS %s%s%s;', nspname, typname,
            format_type(typbasetype, typtypmod), coalesce(' DEFAULT ' || typdefault, ''),
            coalesce((SELECT string_agg(format(' CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)), '')
                      FROM pg_constraint WHERE contypid = t.oid), ''))
        ELSE format('CREATE TYPE %I.%I AS (%s);', nspname, typname,
            (SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped)) END
    FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
    WHERE (typtype = 'd' OR EXISTS (SELECT FROM pg_class WHERE oid = t.typrelid AND relkind = 'c'))
    AND <ours: t.oid, pg_type> ORDER BY t.oid""",
    """SELECT format('CREATE SEQUENCE %I.%I AS %s INCREMENT %s MINVALUE %s MAXVALUE %s START %s CACHE %s%s;', nspname,
        relname, format_type(seqtypid, NULL), seqincrement, seqmin, seqmax, seqstart, seqcache,
        CASE WHEN seqcycle THEN ' CYCLE' ELSE '' END)
    FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i') AND <ours: c.oid, pg_class>
    ORDER BY c.oid""",
    """SELECT pg_get_functiondef(p.oid) || ';' FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    JOIN pg_language l ON l.oid = prolang
    WHERE prokind IN ('f', 'p') AND lanname NOT IN ('c', 'internal') AND <ours: p.oid, pg_proc>
    -- What takes or gives rows of a table comes after the tables.
    AND NOT EXISTS (SELECT FROM unnest(coalesce(proallargtypes, proargtypes::oid[]) || prorettype) AS used(type)
                    JOIN pg_type u ON u.oid = used.type
                    LEFT JOIN pg_type element ON element.oid = u.typelem
                    JOIN pg_class r ON r.oid IN (u.typrelid, element.typrelid) AND r.relkind <> 'c')
    ORDER BY p.oid""",
    """SELECT format('CREATE %sTABLE %I.%I (%s)%s;', CASE relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END,
        nspname, relname, (SELECT coalesce(string_agg(format(E'\\n    %I %s', attname, format_type(atttypid, atttypmod))
            || coalesce((SELECT format(' COLLATE %I.%I', cn.nspname, collname) FROM pg_collation
                         JOIN pg_namespace cn ON cn.oid = collnamespace JOIN pg_type base ON base.oid = atttypid
                         WHERE pg_collation.oid = attcollation AND attcollation <> base.typcollation), '')
            || CASE attidentity WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY'
                                WHEN 'd' THEN ' GENERATED BY DEFAULT AS IDENTITY' ELSE '' END
            || CASE WHEN adbin IS NULL THEN ''
                    WHEN attgenerated = 's' THEN format(' GENERATED ALWAYS AS (%s) STORED', pg_get_expr(adbin, adrelid))
                    WHEN attgenerated = 'v' THEN format(' GENERATED ALWAYS AS (%s)', pg_get_expr(adbin, adrelid))
                    ELSE ' DEFAULT ' || pg_get_expr(adbin, adrelid) END
            || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END, ',' ORDER BY attnum), '')
          FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
          WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
        CASE WHEN relkind = 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(c.oid) ELSE '' END)
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p') AND <ours: c.oid, pg_class>
    ORDER BY c.oid""",
    """SELECT CASE WHEN c.relispartition
        THEN format('ALTER TABLE %s ATTACH PARTITION %I.%I %s;', inhparent::regclass, nspname, relname,
                    pg_get_expr(relpartbound, c.oid))
        ELSE format('ALTER TABLE %I.%I INHERIT %s;', nspname, relname, inhparent::regclass) END
    FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND <ours: c.oid, pg_class> ORDER BY c.oid, inhseqno""",
)

_AFTER: Final[Sequence[str]] = (
    """SELECT format('ALTER SEQUENCE %I.%I OWNED BY %s.%I;', nspname, c.relname, d.refobjid::regclass, attname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'a'
    JOIN pg_attribute ON attrelid = d.refobjid AND attnum = d.refobjsubid
    WHERE relkind = 'S' AND <ours: c.oid, pg_class> ORDER BY c.oid""",
    """SELECT format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s;', nspname, relname, conname, pg_get_constraintdef(k.oid))
    FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE contype IN ('p', 'u', 'c', 'x', 'f') AND conparentid = 0 AND conislocal AND <ours: c.oid, pg_class>
    ORDER BY contype = 'f', array_position(ARRAY['p', 'u', 'c', 'x', 'f'], contype::text), k.oid""",
    """SELECT CASE WHEN c.relkind = 'I' THEN replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ')
        ELSE pg_get_indexdef(c.oid) END || ';'
    FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_namespace n ON n.oid = relnamespace
    JOIN pg_class of ON of.oid = indrelid AND of.relkind IN ('r', 'p')
    WHERE NOT c.relispartition AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
    AND <ours: c.oid, pg_class> ORDER BY c.oid""",
    """SELECT format('CREATE %sVIEW %I.%I AS %s', CASE relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END,
        nspname, relname, pg_get_viewdef(c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('v', 'm') AND <ours: c.oid, pg_class>
    ORDER BY c.oid""",
    """SELECT pg_get_indexdef(c.oid) || ';'
    FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_namespace n ON n.oid = relnamespace
    JOIN pg_class of ON of.oid = indrelid AND of.relkind = 'm' WHERE <ours: c.oid, pg_class> ORDER BY c.oid""",
    """SELECT pg_get_functiondef(p.oid) || ';' FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    JOIN pg_language l ON l.oid = prolang
    WHERE prokind IN ('f', 'p') AND lanname NOT IN ('c', 'internal') AND <ours: p.oid, pg_proc>
    AND EXISTS (SELECT FROM unnest(coalesce(proallargtypes, proargtypes::oid[]) || prorettype) AS used(type)
                JOIN pg_type u ON u.oid = used.type
                LEFT JOIN pg_type element ON element.oid = u.typelem
                JOIN pg_class r ON r.oid IN (u.typrelid, element.typrelid) AND r.relkind <> 'c')
    ORDER BY p.oid""",
    """SELECT pg_get_triggerdef(g.oid) || ';' FROM pg_trigger g JOIN pg_class c ON c.oid = tgrelid
    JOIN pg_namespace n ON n.oid = relnamespace WHERE NOT tgisinternal AND tgparentid = 0 AND <ours: c.oid, pg_class>
    ORDER BY g.oid""",
)

_TABLES: Final = """
    SELECT nspname::text, relname::text, (
        SELECT coalesce(array_agg(attname::text ORDER BY attnum), '{}') FROM pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '')
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind = 'r' AND <ours: c.oid, pg_class> ORDER BY c.oid"""

_SEQUENCES: Final = """
    SELECT nspname::text, c.relname::text, CASE d.deptype WHEN 'i' THEN
        format('pg_get_serial_sequence(%L, %L)', d.refobjid::regclass::text, attname)
        ELSE quote_literal(c.oid::regclass::text) END
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    LEFT JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
    LEFT JOIN pg_attribute ON attrelid = d.refobjid AND attnum = d.refobjsubid
    WHERE relkind = 'S' AND <ours: c.oid, pg_class> ORDER BY c.oid"""


async def export(server: PostgresServer, database: str) -> AsyncIterator[bytes]:
    """The script, compressed with gzip, in pieces. Nothing is changed, and who uses the database does not have to wait,
    except to alter a table.
    """
    packer = zlib.compressobj(wbits=31)
    waiting = bytearray()
    async with server.connect(database) as inside:
        # The rows of a large table take long, and policies must not hide any: better none than some.
        await inside.execute("SET statement_timeout = 0")
        await inside.execute("SET row_security = off")
        await inside.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        async for text in _script(inside):
            waiting += text
            if len(waiting) >= _PIECE:
                yield packer.compress(bytes(waiting))
                waiting.clear()
    yield packer.compress(bytes(waiting)) + packer.flush()


async def _script(inside: AsyncConnection) -> AsyncIterator[bytes]:
    yield _HEAD.encode()
    for query in _BEFORE:
        async for statement in _statements(inside, query):
            yield statement
    found = await inside.execute(_known(_TABLES))
    for schema, table, columns in await found.fetchall():
        if columns:
            async for rows in _rows(inside, schema, table, columns):
                yield rows
    found = await inside.execute(_known(_SEQUENCES))
    for schema, name, called in await found.fetchall():
        state = await inside.execute(
            sql.SQL("SELECT last_value, is_called::text FROM {}").format(sql.Identifier(schema, name))
        )
        for last_value, is_called in await state.fetchall():
            yield f"SELECT setval({called}, {last_value}, {is_called});\n".encode()
    for query in _AFTER:
        async for statement in _statements(inside, query):
            yield statement
    yield b"COMMIT;\n"


async def _statements(inside: AsyncConnection, query: str) -> AsyncIterator[bytes]:
    found = await inside.execute(_known(query))
    for (statement,) in await found.fetchall():
        yield f"{statement}\n\n".encode()


async def _rows(inside: AsyncConnection, schema: str, table: str, columns: Sequence[str]) -> AsyncIterator[bytes]:
    """As text lines: whatever begins with a backslash in a row is written so that psql does not obey it."""
    what = sql.SQL("{} ({})").format(
        sql.Identifier(schema, table), sql.SQL(", ").join(sql.Identifier(column) for column in columns)
    )
    yield sql.SQL("COPY {} FROM STDIN;\n").format(what).as_bytes(inside)
    async with inside.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(what)) as copy:
        async for line in copy:
            yield bytes(line)
    yield b"\\.\n\n"


def _known(query: str) -> bytes:
    """A query of this module, with what is said in it once for all."""
    return re.sub(r"<ours: ([a-z.]+), ([a-z_]+)>", _OURS, query).encode()
