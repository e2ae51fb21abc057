"""What is to be written into customers' apps' logs, until Heroku has it.

Lines wait in a table of ours, and a job takes them to Heroku (`resources/log_writing.py`). So a line exists exactly if
the change that it tells of was committed, nobody waits for Heroku, and those that come at once travel together. It is
for what a customer should know, not for what a busy service says of every request.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Text, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base, Database
from app.errors import Retry
from app.job_queue import JobQueue

_log = structlog.get_logger(__name__)

# Of one resource, while Heroku takes none.
MOST_WAITING: Final = 1_000
# After whatever else is to be done.
PRIORITY: Final = -3


class UnsentLine(Base):
    """A line for the log of a resource's app. Holds no secret."""

    __tablename__ = "unsent_log_lines"
    __table_args__ = (
        Index("ix_unsent_log_lines_resource_uuid_id", "resource_uuid", "id"),
        Index("ix_unsent_log_lines_at", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    resource_uuid: Mapped[UUID] = mapped_column(ForeignKey("resources.uuid"))
    at: Mapped[datetime]
    text: Mapped[str] = mapped_column(Text)


class AppLog:
    """The logs of customers' apps, for writing; nothing is written unless the manifest requires `log_input`."""

    def __init__(self, database: Database, queue: JobQueue, clock: Callable[[], datetime], *, is_on: bool) -> None:
        self._database = database
        self._queue = queue
        self._clock = clock
        self.is_on = is_on

    async def add(self, session: AsyncSession, uuid: UUID, text: str) -> None:
        """Have a line written once the session's transaction has committed."""
        if not self.is_on:
            return
        session.add(UnsentLine(resource_uuid=uuid, at=self._clock(), text=text.replace("\0", " ")))
        await session.flush()
        await self._queue.enqueue(session, "write_log", uuid, at_most_one=True, priority=PRIORITY, is_apart=True)

    async def write(self, uuid: UUID, text: str) -> None:
        """Have a line written soon, for drivers. One that cannot be kept is dropped, which our own log tells.

        Args:
            uuid: of a resource.
            text: one line or several, without secrets.
        """
        if not self.is_on:
            return
        waiting = select(UnsentLine.id).where(UnsentLine.resource_uuid == uuid).limit(MOST_WAITING).subquery()
        try:
            async with self._database.transaction() as session:
                has_room = (await session.scalar(select(func.count()).select_from(waiting)) or 0) < MOST_WAITING
                if has_room:
                    await self.add(session, uuid, text)
        except Retry as error:
            has_room = False
            _log.warning("the database did not take a line for an app's log", reason=str(error))
        if not has_room:
            _log.warning("dropped a line for an app's log", resource=str(uuid))
