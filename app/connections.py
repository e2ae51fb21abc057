"""A few connections to one Postgres, for what is told it in plain SQL: opened when they are wanted, kept between uses.

A session of SQLAlchemy takes several times as long as a small statement does. What happens a thousand times a second
goes through here instead, and so does a driver whose whole service is a table.
"""

import asyncio
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import psycopg

from app.errors import Retry

# A waiter is told "not now" while Heroku still listens (it wants an answer within 3 s).
_PATIENCE: Final = timedelta(seconds=2)
_CONNECT_SECONDS: Final = 5


class Connections:
    """Connections to one database.

    Args:
        url: of it, with any of the schemes that a setting may have.
        most: how many at once; who comes then waits for one.
        options: for the server, as its command line has them: `-c lock_timeout=3000`.
        is_autocommit: whether each statement is a transaction of its own; otherwise each block of `one` is.
        trouble: says that the database is away, for people.
    """

    def __init__(self, url: str, *, most: int, options: str, is_autocommit: bool, trouble: str) -> None:
        self.most = most
        self._url = "postgresql://" + url.partition("://")[2]
        self._options = options
        self._is_autocommit = is_autocommit
        self._trouble = trouble
        self._idle: list[psycopg.AsyncConnection] = []
        self._room = asyncio.Semaphore(most)
        self._is_closed = False
        self.in_use = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """A connection; what was done is committed at the end of the block. After an error it is not used again.

        Raises:
            Retry: the database cannot be reached, is busy or slow. Any other error of it is a bug and stays what it is.
        """
        await self._enter()
        connection = None
        try:
            connection = await self._known() or await self._connect()
            yield connection
            if not self._is_autocommit:
                await connection.commit()
            if not self._is_closed:
                self._idle.append(connection)
                connection = None
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise Retry(self._trouble) from error
        finally:
            self.in_use -= 1
            self._room.release()
            if connection is not None:
                await connection.close()

    async def close(self) -> None:
        """Close those that nobody uses; the others when they are given back."""
        self._is_closed = True
        while self._idle:
            await self._idle.pop().close()

    async def _enter(self) -> None:
        if self._room.locked():
            try:
                await asyncio.wait_for(self._room.acquire(), _PATIENCE.total_seconds())
            except TimeoutError:
                raise Retry(self._trouble) from None
        else:
            await self._room.acquire()
        self.in_use += 1

    async def _known(self) -> psycopg.AsyncConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and not is_over(connection.fileno()):
                return connection
            await connection.close()
        return None

    async def _connect(self) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(
            self._url,
            autocommit=self._is_autocommit,
            connect_timeout=_CONNECT_SECONDS,
            options=self._options,
            application_name="addon",
        )


def is_over(file: int) -> bool:
    """Whether the server has ended an idle connection; to ask the server itself would take a round trip.

    It says nothing unasked but that it ends. Whatever else it may have said, such a connection is not worth keeping.

    Args:
        file: the descriptor of the connection's socket.
    """
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))
