"""The database: engine, declarative base, and the place where a session's transaction begins and ends."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from pydantic_core import to_json
from sqlalchemy import MetaData, event
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.exc import DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import QueuePool

from app.connections import Connections, is_over
from app.errors import Retry

_AWAY: Final = "the database is not available just now"
# Those who wait for the same kind share one: see `gathering.py`.
_STATEMENTS_AT_ONCE: Final = 2


class Base(DeclarativeBase):
    """Every table. Constraints are named by rule, so that migrations stay stable."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: TIMESTAMP(timezone=True)}  # noqa: RUF012 - SQLAlchemy reads a plain dict here


class Database:
    """A pool of connections to our own database."""

    def __init__(self, url: str, *, pool_size: int = 6, statement_timeout: timedelta = timedelta(seconds=10)) -> None:
        milliseconds = int(statement_timeout.total_seconds() * 1000)
        options = (
            f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
            " -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
        )
        self._engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            # A waiter for a connection is told "not now" while Heroku still listens (it wants an answer within 3 s).
            pool_timeout=2,
            hide_parameters=True,  # an error's text must not repeat what was being stored
            connect_args={"connect_timeout": 5, "options": options, "application_name": "addon"},
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_what_is_over)
        self._each_alone = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._statements = Connections(
            url,
            most=_STATEMENTS_AT_ONCE,
            # They find rows by their keys and nothing else. A plan that is made once for all, while a table is small,
            # would read all of it from then on.
            options=options + " -c enable_seqscan=off",
            is_autocommit=True,
            trouble=_AWAY,
        )
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session whose block is one transaction: leaving it commits, raising rolls back.

        Raises:
            Retry: the database cannot be reached or did not answer in time.
        """
        try:
            async with self._sessions.begin() as session:
                yield session
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            raise Retry(_AWAY) from error

    @asynccontextmanager
    async def singly(self) -> AsyncIterator[AsyncSession]:
        """A session each of whose statements is a transaction by itself, and is committed when it returns.

        Raises:
            Retry: the database cannot be reached or did not answer in time. What it was told may have been done.
        """
        try:
            async with AsyncSession(self._each_alone, expire_on_commit=False) as session:
                yield session
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            raise Retry(_AWAY) from error

    def statements(self) -> AbstractAsyncContextManager[psycopg.AsyncConnection]:
        """The same for plain SQL: for the few places where a session would take longer than the database does.

        Raises:
            Retry: the database cannot be reached or did not answer in time. What it was told may have been done.
        """
        return self._statements.one()

    def within(self, session: AsyncSession) -> "Database":
        """A database whose every transaction is a part of the one that is open already, and is committed with it.

        A part that raises is undone alone. Nobody may talk to the network in one: the outer one stays open.
        """
        return _Within(session)

    @property
    def connections_in_use(self) -> int:
        """How many connections are at work at this moment."""
        return self._pool.checkedout() + self._statements.in_use

    @property
    def connections_most(self) -> int:
        """How many there may be at once."""
        return self._pool.size() + self._statements.most

    @property
    def _pool(self) -> QueuePool:
        return self._engine.pool  # type: ignore[return-value]  # what such engines make

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()
        await self._statements.close()


def _refuse_what_is_over(connection: Any, *_: object) -> None:
    """Have the pool make a new connection instead of one that the server has ended meanwhile.

    https://docs.sqlalchemy.org/en/20/core/pooling.html#custom-legacy-pessimistic-ping
    """
    if is_over(connection.driver_connection.fileno()):
        raise DisconnectionError


def each_of(given: str, columns: str) -> str:
    """SQL for the rows of a FROM, named `given`, from what `lines` has made.

    The planner counts on ten rows, which is about what comes, and so finds what belongs to each by its key.

    Args:
        given: the name of the parameter.
        columns: with their types; what a row does not have is NULL.
    """
    each = rf"unnest(string_to_array(%({given})s::text, E'\n')) AS each"
    return f"{each} CROSS JOIN jsonb_to_record(each::jsonb) AS given ({columns})"


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as the parameter of `each_of`. Bytes become `bytea`."""
    # A line of JSON for each: an array of texts would be put together one letter at a time, in Python.
    return b"\n".join([to_json({name: _plain(value) for name, value in row.items()}) for row in rows]).decode()


def _plain(value: object) -> object:
    return "\\x" + value.hex() if isinstance(value, bytes) else value


class _Within(Database):
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        async with self._session.begin_nested():
            yield self._session

    async def close(self) -> None:
        """Nothing of it is its own."""
