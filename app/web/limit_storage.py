"""Where `limits.py` counts: a table that all processes share, one statement for each count."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from limits.aio.storage import Storage
from sqlalchemy import CursorResult, Index, Text, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from app.context import Context
from app.database import Base, Database
from app.errors import Retry
from app.gathering import Gathering


class Count(Base):
    """How often something was done by somebody since their first time; forgotten when the window is over."""

    __tablename__ = "rate_limits"
    # Unlogged: what is counted for minutes need not survive a crash of the server, nor be written twice.
    __table_args__ = (Index("ix_rate_limits_ends_at", "ends_at"), {"prefixes": ["UNLOGGED"]})

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int]
    ends_at: Mapped[datetime]


# In one order, or two processes could each wait for a row of the other.
_HIT: Final = """
    INSERT INTO rate_limits AS known (key, number, ends_at)
    SELECT * FROM jsonb_to_recordset(%s::jsonb) AS hit (key text, number integer, ends_at timestamptz) ORDER BY key
    ON CONFLICT (key) DO UPDATE SET
        number = CASE WHEN known.ends_at <= %s THEN 0 ELSE known.number END + excluded.number,
        ends_at = CASE WHEN known.ends_at <= %s THEN excluded.ends_at ELSE known.ends_at END
    RETURNING key, number
"""


class PostgresStorage(Storage):
    """Fixed windows, each begun by the first hit of a key; by our own clock.

    https://limits.readthedocs.io/en/stable/custom-storage.html
    """

    STORAGE_SCHEME = None  # made here and nowhere else: not to be found by a URL

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._database = database
        self._clock = clock
        # So that all counting takes one connection of a process at most: the others are Heroku's.
        self._hits: Gathering[tuple[str, int, int], int] = Gathering()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What it raises when the database is away."""
        return Retry

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and say how many that makes in the window of `expiry` seconds."""
        return await self._hits.ask((key, expiry, amount), self._count, key=key)

    async def _count(self, hits: Sequence[tuple[str, int, int]]) -> Sequence[int]:
        now = self._clock()
        rows = [
            {"key": key, "number": amount, "ends_at": (now + timedelta(seconds=expiry)).isoformat()}
            for key, expiry, amount in hits
        ]
        async with self._database.statements() as connection:
            counted = await connection.execute(_HIT, (json.dumps(rows), now, now))
            numbers: dict[str, int] = dict(await counted.fetchall())
        return [numbers[key] for key, _, _ in hits]

    async def get(self, key: str) -> int:
        """How many there are in the window that is open."""
        query = select(Count.number).where(Count.key == key, Count.ends_at > self._clock())
        async with self._database.transaction() as session:
            return await session.scalar(query) or 0

    async def get_expiry(self, key: str) -> float:
        """When the window ends, in seconds since 1970; now if none is open."""
        async with self._database.transaction() as session:
            ends_at = await session.scalar(select(Count.ends_at).where(Count.key == key))
        return (ends_at or self._clock()).timestamp()

    async def check(self) -> bool:
        """Whether it can count."""
        try:
            async with self._database.transaction() as session:
                await session.execute(select(func.now()))
        except Retry:
            return False
        return True

    async def reset(self) -> int:
        """Forget everything, and say how much that was."""
        return await self._delete()

    async def clear(self, key: str) -> None:
        """Forget one key."""
        await self._delete(key)

    async def _delete(self, key: str | None = None) -> int:
        async with self._database.transaction() as session:
            found = await session.execute(delete(Count) if key is None else delete(Count).where(Count.key == key))
            return found.rowcount if isinstance(found, CursorResult) else 0


async def prune(context: Context) -> None:
    """Remove the windows that are over."""
    async with context.database.transaction() as session:
        await session.execute(delete(Count).where(Count.ends_at <= context.clock()))
