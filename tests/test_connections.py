"""A few connections to one Postgres, kept between uses."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest
from rig import Rig
from sqlalchemy import text

from app import connections
from app.connections import Connections
from app.errors import Retry


@pytest.fixture
async def some(database_url: str) -> AsyncIterator[Connections]:
    made = _connections(database_url)
    yield made
    await made.close()


def _connections(url: str, *, is_autocommit: bool = True) -> Connections:
    return Connections(
        url, most=2, options="-c statement_timeout=5000", is_autocommit=is_autocommit, trouble="it is away"
    )


async def _backend(some: Connections) -> int:
    async with some.one() as connection:
        return connection.info.backend_pid


async def test_a_connection_is_used_again(some: Connections):
    assert await _backend(some) == await _backend(some)


async def test_two_at_once_have_two_connections(some: Connections):
    async with some.one() as first, some.one() as second:
        assert first is not second
        assert some.in_use == 2
    assert some.in_use == 0


async def test_one_that_the_server_has_ended_is_replaced_unnoticed(some: Connections):
    ended = await _backend(some)
    async with some.one() as mine, some.one() as other:
        await other.execute("SELECT pg_terminate_backend(%s, 5000)", [mine.info.backend_pid])
    assert await _backend(some) != ended


async def test_one_that_has_met_an_error_is_not_used_again(some: Connections):
    before = await _backend(some)
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with some.one() as connection:
            await connection.execute("SELECT 1 / 0")
    assert await _backend(some) != before


async def test_a_caller_who_leaves_in_the_middle_takes_the_connection_along(some: Connections):
    before = await _backend(some)
    is_asked = asyncio.Event()

    async def ask() -> None:
        async with some.one() as connection:
            is_asked.set()
            await connection.execute("SELECT pg_sleep(60)")

    caller = asyncio.create_task(ask())
    await is_asked.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert some.in_use == 0
    assert await _backend(some) != before


async def test_who_waits_too_long_is_told_to_come_later(some: Connections, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "_PATIENCE", timedelta(0))
    async with some.one(), some.one():
        with pytest.raises(Retry, match="it is away"):
            async with some.one():
                pass
    assert await _backend(some)


async def test_who_waits_gets_the_connection_that_is_given_back(some: Connections):
    async with some.one():
        async with some.one() as given_back:
            waiting = asyncio.create_task(_backend(some))
            await asyncio.sleep(0)
        assert await waiting == given_back.info.backend_pid


async def test_a_database_that_cannot_be_reached_means_later():
    nobody = _connections("postgresql://somebody:hidden@127.0.0.1:1/none")
    with pytest.raises(Retry) as away:
        await _backend(nobody)
    assert "hidden" not in f"{away.value!r} {away.value.__cause__!r}"
    assert nobody.in_use == 0


async def test_a_block_is_one_transaction_unless_each_statement_is(database_url: str, some: Connections):
    blocks = _connections(database_url, is_autocommit=False)
    async with some.one() as connection:
        await connection.execute("CREATE TABLE kept (number integer)")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await _keep_and_fail(blocks, 1)
    async with blocks.one() as connection:
        await connection.execute("INSERT INTO kept VALUES (2)")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await _keep_and_fail(some, 3)
    async with some.one() as connection:
        assert await (await connection.execute("SELECT number FROM kept ORDER BY 1")).fetchall() == [(2,), (3,)]
    await blocks.close()


async def _keep_and_fail(some: Connections, number: int) -> None:
    async with some.one() as connection:
        await connection.execute("INSERT INTO kept VALUES (%s)", [number])
        await connection.execute("SELECT 1 / 0")


async def test_what_is_closed_leaves_no_connection_behind(some: Connections):
    async with some.one() as kept:
        pass
    assert not kept.closed
    async with some.one() as late, some.one() as early:
        pass
    async with some.one() as late:
        await some.close()
        assert not late.closed
    assert kept.closed
    assert early.closed
    assert late.closed


@pytest.mark.parametrize("kind", ["transaction", "singly"])
async def test_a_session_too_gets_a_new_connection_for_one_that_the_server_has_ended(
    key_rig: Rig, some: Connections, kind: str
):
    async def backend() -> int:
        async with getattr(key_rig.context.database, kind)() as session:
            return int(await session.scalar(text("SELECT pg_backend_pid()")))

    before = await backend()
    async with some.one() as other:
        ended = await other.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
        assert await ended.fetchone() == (True,)
    assert await backend() != before


async def test_what_is_said_singly_is_committed_at_once(key_rig: Rig, some: Connections):
    async with key_rig.context.database.singly() as session:
        await session.execute(text("CREATE TABLE said (number integer)"))
        await session.execute(text("INSERT INTO said VALUES (1)"))
        async with some.one() as other:
            assert await (await other.execute("SELECT number FROM said")).fetchall() == [(1,)]
