"""Background work, in the tables of procrastinate: a job exists exactly if the change that asked for it was committed.

Jobs of one resource run strictly one after another (their lock is its uuid), in the order in which they were enqueued,
also while an earlier one waits for its retry. A job's only arguments are that uuid and, where traces are made, the span
that asked for it: nothing secret is ever in the queue.

Here is who asks and who looks; `job_worker.py` runs the jobs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, cast, column, delete, exists, literal_column, table, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.telemetry import tracing

QUEUE = "resources"
# Of what one operator orders for many at once: whatever a customer waits for goes before it.
FOR_MANY = -1

_ENQUEUE = text("""
    SELECT procrastinate_defer_jobs_v1(ARRAY[
        ROW(
            :queue, :job, :priority, :lock, NULL, CAST(:args AS jsonb), now() + CAST(:after AS interval)
        )::procrastinate_job_to_defer_v1
    ])
""")
_ENQUEUE_MANY = text("""
    SELECT procrastinate_defer_jobs_v1(ARRAY(
        SELECT ROW(
            :queue, :job, :priority, uuid, NULL,
            jsonb_strip_nulls(jsonb_build_object('uuid', uuid, 'traceparent', CAST(:traceparent AS text))), NULL
        )::procrastinate_job_to_defer_v1
        FROM unnest(CAST(:uuids AS text[])) WITH ORDINALITY AS given (uuid, place) ORDER BY place
    ))
""")
# A job of this name that waits already is locked instead, and not changed: it is not begun before this transaction
# ends, and so sees what it has changed.
_ENQUEUE_ONE = text("""
    INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args)
    VALUES (:queue, :job, :priority, :lock, :queueing_lock, CAST(:args AS jsonb))
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE SET queueing_lock = excluded.queueing_lock WHERE false
""")


def enqueue_all(rows: str) -> str:
    """SQL that enqueues a job for each of `rows`, and so belongs into a statement that makes them.

    Args:
        rows: a table or a subquery with the columns `job`, `uuid`, `traceparent` (or NULL), and `place` in the queue.
    """
    return f"""
        procrastinate_defer_jobs_v1(ARRAY(
            SELECT ROW(
                '{QUEUE}', job, 0, uuid::text, NULL,
                jsonb_strip_nulls(jsonb_build_object('uuid', uuid, 'traceparent', traceparent)), NULL
            )::procrastinate_job_to_defer_v1
            FROM {rows} ORDER BY place
        ))
    """  # noqa: S608 - names that the caller writes down, no values # nosec B608


def enqueue_each_once(rows: str) -> str:
    """SQL that does the same for jobs of which one that waits is enough: an INSERT, to stand in a WITH.

    Args:
        rows: as above, with `priority` and `is_apart` (see `JobQueue.enqueue`) instead of `place`.
    """
    return f"""
        INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args)
        SELECT
            '{QUEUE}', job, priority, CASE WHEN is_apart THEN job || ':' || uuid ELSE uuid::text END,
            job || ':' || uuid,
            jsonb_strip_nulls(jsonb_build_object('uuid', uuid, 'traceparent', traceparent))
        FROM {rows} ORDER BY uuid, job
        ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE SET queueing_lock = excluded.queueing_lock
            WHERE false
    """  # noqa: S608 - names that the caller writes down, no values # nosec B608


class JobQueue:
    """Puts jobs into the queue. Needs no connection of its own: it writes on the caller's transaction."""

    def __init__(self, *, highest: int | None = None) -> None:
        self._highest = highest

    def for_many(self) -> "JobQueue":
        """The same queue, for work that lets others go first; what must go first for its resource still does."""
        return JobQueue(highest=FOR_MANY)

    async def enqueue(
        self,
        session: AsyncSession,
        job: str,
        uuid: UUID,
        *,
        at_most_one: bool = False,
        priority: int = 0,
        is_apart: bool = False,
        after: timedelta | None = None,
    ) -> None:
        """Have `job` run for the resource once the session's transaction has committed.

        Args:
            session: its transaction decides; after a rollback there is no job.
            job: a name in `resources.jobs.JOBS`.
            uuid: of the resource; also the lock.
            at_most_one: do nothing if such a job is already waiting.
            priority: a higher one goes before others of the same resource.
            is_apart: it neither waits for the resource's other jobs nor holds them up, and outlives the resource.
            after: how long it is not to begin; not together with `at_most_one`.
        """
        parent = tracing.traceparent()
        arguments = {"uuid": str(uuid)} | ({} if parent is None else {"traceparent": parent})
        values: dict[str, Any] = {
            "queue": QUEUE,
            "job": job,
            "priority": self._priority(priority),
            "lock": f"{job}:{uuid}" if is_apart else str(uuid),
            "args": json.dumps(arguments),
        }
        connection = await session.connection()
        if at_most_one:
            await connection.execute(_ENQUEUE_ONE, values | {"queueing_lock": f"{job}:{uuid}"})
        else:
            await connection.execute(_ENQUEUE, values | {"after": after})

    async def enqueue_many(self, session: AsyncSession, job: str, uuids: Sequence[UUID]) -> None:
        """The same for a job of each of these resources, in their order."""
        values = {"queue": QUEUE, "job": job, "priority": self._priority(0), "traceparent": tracing.traceparent()}
        connection = await session.connection()
        await connection.execute(_ENQUEUE_MANY, values | {"uuids": [str(uuid) for uuid in uuids]})

    def _priority(self, wanted: int) -> int:
        return wanted if self._highest is None or wanted > 0 else min(wanted, self._highest)

    async def cancel(self, session: AsyncSession, uuid: UUID) -> None:
        """Drop every waiting job of the resource. One that runs at this moment finds out when it records."""
        await session.execute(
            text("SELECT procrastinate_cancel_job_v1(id, false, true) FROM procrastinate_jobs"
                 " WHERE lock = :lock AND status = 'todo'"),
            {"lock": str(uuid)},
        )  # fmt: skip


# A job behind another one of its resource is not due: it waits for its turn, not for a worker.
_OLDEST_DUE = text("""
    SELECT extract(epoch FROM now() - min(coalesce(job.scheduled_at, event.at)))
    FROM procrastinate_jobs job
    JOIN procrastinate_events event ON event.job_id = job.id AND event.type = 'deferred'
    WHERE job.status = 'todo'
      AND (job.scheduled_at IS NULL OR job.scheduled_at <= now())
      AND NOT EXISTS (
        SELECT FROM procrastinate_jobs earlier
        WHERE earlier.lock = job.lock
          AND (earlier.status = 'doing' OR (earlier.status = 'todo' AND earlier.id < job.id))
      )
""")


async def oldest_due_age(session: AsyncSession) -> timedelta:
    """How long the job that waits longest has been due; zero for an empty queue. For health and metrics."""
    seconds: Any = await session.scalar(_OLDEST_DUE)
    return timedelta(seconds=max(float(seconds or 0), 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedWork:
    """A job of one resource that waits or runs.

    Attributes:
        id: the queue's number of it.
        name: as in `resources.outcomes.JOBS`.
        is_running: a worker has it at this moment.
        attempts: how often it was begun before.
        queued_at: when it was asked for.
        due_at: when it is to run again; None for as soon as it is its turn.
    """

    id: int
    name: str
    is_running: bool
    attempts: int
    queued_at: datetime
    due_at: datetime | None


# In the order in which they will run.
_WORK_OF = """
    SELECT job.id, task_name AS name, status = 'doing' AS is_running, attempts,
           (SELECT min(at) FROM procrastinate_events WHERE job_id = job.id) AS queued_at, scheduled_at AS due_at
    FROM procrastinate_jobs job WHERE lock = :lock AND status IN ('todo', 'doing')
    ORDER BY status = 'doing' DESC, priority DESC, id
"""
_LOCKED_JOB = text(
    "SELECT task_name FROM procrastinate_jobs WHERE id = :id AND lock = :lock AND status = 'todo' FOR UPDATE"
)
_RUN_NOW = text("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE lock = :lock AND status = 'todo' RETURNING id")


async def work_of(session: AsyncSession, uuid: UUID) -> list[QueuedWork]:
    """What waits or runs for the resource, in order."""
    found = await session.execute(text(_WORK_OF), {"lock": str(uuid)})
    return [QueuedWork(**row) for row in found.mappings()]


_JOBS = table("procrastinate_jobs", column("lock"), column("task_name"))


def has_work(uuid: InstrumentedAttribute[UUID], *, besides: Sequence[str]) -> ColumnElement[bool]:
    """For queries: whether anything but the jobs `besides` waits or runs for the resource of this uuid."""
    return (
        exists()
        .select_from(_JOBS)
        .where(
            _JOBS.c.lock == cast(uuid, Text),
            literal_column("status IN ('todo', 'doing')"),
            _JOBS.c.task_name.not_in(besides),
        )
    )


async def run_now(session: AsyncSession, uuid: UUID) -> int:
    """Let nothing of the resource wait for its time any more; how many jobs wait."""
    return len((await session.execute(_RUN_NOW, {"lock": str(uuid)})).all())


async def drop(session: AsyncSession, uuid: UUID, job_id: int) -> str | None:
    """Take one waiting job out of the queue; its name, or None if it does not wait any more."""
    name: str | None = await session.scalar(_LOCKED_JOB, {"id": job_id, "lock": str(uuid)})
    if name is not None:
        await session.execute(text("SELECT procrastinate_cancel_job_v1(:id, false, true)"), {"id": job_id})
    return name


_ALIVE = text("SELECT EXISTS (SELECT FROM procrastinate_workers WHERE last_heartbeat > now() - interval '30 seconds')")


async def is_worked_on(session: AsyncSession) -> bool:
    """Whether a worker has given a sign of life just now."""
    return bool(await session.scalar(_ALIVE))


async def forget_work(session: AsyncSession, names: Sequence[str], locks: Select[str]) -> int:
    """Drop the jobs of these names and locks, also those that a dead worker has begun; how many there were."""
    where = (_JOBS.c.task_name.in_(names), _JOBS.c.lock.in_(locks), text("status IN ('todo', 'doing')"))
    return len((await session.execute(delete(_JOBS).where(*where).returning(_JOBS.c.lock))).all())
