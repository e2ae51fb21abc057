"""Background work, on procrastinate: a job exists exactly if the change that asked for it was committed.

Jobs of one resource run strictly one after another (their lock is its uuid), in the order in which they were enqueued,
also while an earlier one waits for its retry. A job's only arguments are that uuid and, where traces are made, the span
that asked for it: nothing secret is ever in the queue.
"""

import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import procrastinate
import structlog
from procrastinate import BaseRetryStrategy, JobContext, RetryDecision
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import Job as QueuedJob
from procrastinate.jobs import Status
from sqlalchemy import ColumnElement, Select, Text, cast, column, delete, exists, literal_column, table, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.database import psycopg_connection
from app.errors import Retry
from app.telemetry import tracing
from app.telemetry.watch import Watch

_log = structlog.get_logger(__name__)

QUEUE = "resources"
# Of what one operator orders for many at once: whatever a customer waits for goes before it.
FOR_MANY = -1
_LONGEST_BACKOFF = timedelta(minutes=10)

_WAITING = text("SELECT id FROM procrastinate_jobs WHERE queueing_lock = :queueing_lock AND status = 'todo' FOR UPDATE")
# The queueing lock forbids two jobs in waiting. One that has begun gives it up: a second may wait by the time the first
# has to go back to waiting, and the database would refuse that, which would leave the first as "running" for ever.
_GIVE_UP_QUEUEING_LOCK = "UPDATE procrastinate_jobs SET queueing_lock = NULL WHERE id = %(id)s"


@dataclass(frozen=True, slots=True)
class Periodic:
    """Work without a resource, at the times of `cron` (five fields, or six with seconds last)."""

    cron: str
    run: Callable[[procrastinate.App], Awaitable[None]]


class JobQueue:
    """Puts jobs into the queue. Needs no connection of its own: it writes on the caller's transaction."""

    def __init__(self, *, highest: int | None = None) -> None:
        # The connector is never opened: every enqueue brings its connection along.
        self._app = procrastinate.App(connector=procrastinate.PsycopgConnector())
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
    ) -> None:
        """Have `job` run for the resource once the session's transaction has committed.

        Args:
            session: its transaction decides; after a rollback there is no job.
            job: a name in `resources.jobs.JOBS`.
            uuid: of the resource; also the lock.
            at_most_one: do nothing if such a job is already waiting.
            priority: a higher one goes before others of the same resource.
            is_apart: it neither waits for the resource's other jobs nor holds them up, and outlives the resource.
        """
        if self._highest is not None and priority <= 0:
            priority = min(priority, self._highest)
        queueing_lock = f"{job}:{uuid}" if at_most_one else None
        deferrer = self._app.configure_task(
            job,
            allow_unknown=True,
            queue=QUEUE,
            lock=f"{job}:{uuid}" if is_apart else str(uuid),
            queueing_lock=queueing_lock,
            priority=priority,
            connection=await psycopg_connection(session),
        )
        parent = tracing.traceparent()
        arguments = {"uuid": str(uuid)} | ({} if parent is None else {"traceparent": parent})
        if not at_most_one:
            await deferrer.defer_async(**arguments)
            return
        # Locked, a waiting job is not begun before this transaction ends, and so sees what it has changed.
        if await session.scalar(_WAITING, {"queueing_lock": queueing_lock}):
            return
        with suppress(AlreadyEnqueued):
            async with session.begin_nested():  # so that a clash does not end the caller's transaction
                await deferrer.defer_async(**arguments)

    async def cancel(self, session: AsyncSession, uuid: UUID) -> None:
        """Drop every waiting job of the resource. One that runs at this moment finds out when it records."""
        await session.execute(
            text("SELECT procrastinate_cancel_job_v1(id, false, true) FROM procrastinate_jobs"
                 " WHERE lock = :lock AND status = 'todo'"),
            {"lock": str(uuid)},
        )  # fmt: skip


class _Patience(BaseRetryStrategy):
    """Every exception that reaches the queue means "again": with backoff and jitter, or when the other side said."""

    def get_retry_decision(self, *, exception: BaseException, job: QueuedJob) -> RetryDecision:
        if isinstance(exception, Retry) and exception.after is not None:
            wait = exception.after + timedelta(seconds=random.uniform(0, 1))  # noqa: S311 - jitter is no secret # nosec B311
        else:
            longest = min(timedelta(seconds=2 ** min(job.attempts, 12)), _LONGEST_BACKOFF)
            wait = longest * random.uniform(0.5, 1)  # noqa: S311 - as above # nosec B311
        return RetryDecision(retry_at=datetime.now(UTC) + wait)


def worker_app(
    *,
    url: str,
    jobs: Mapping[str, Callable[[UUID], Awaitable[None]]],
    periodic: Mapping[str, Periodic],
    watch: Watch | None = None,
) -> procrastinate.App:
    """The worker's side of the queue: runs `jobs` by name and `periodic` work by the clock.

    Args:
        url: of the database, as libpq takes it.
        jobs: what each name runs; raising means "run it again later", returning means done.
        periodic: name to times and work. Each round runs in one worker only.
        watch: counts the rounds.
    """
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=4),
        periodic_defaults={"max_delay": 120},
    )
    for name, run in jobs.items():
        app.task(name=name, queue=QUEUE, retry=_Patience(), pass_context=True)(_for_resource(run))
    for name, work in periodic.items():
        # No lock: a round that died with its worker would hold it, and with it the round that revives lost jobs.
        task = app.task(name=name, queue="periodic", queueing_lock=name, pass_context=True)(
            _for_clock(work, watch or Watch())
        )
        app.periodic(cron=work.cron)(task)
    return app


def _for_resource(run: Callable[[UUID], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def job(context: JobContext, uuid: str, traceparent: str | None = None) -> None:
        names = {"job": context.job.task_name, "job_id": context.job.id, "resource": uuid}
        with structlog.contextvars.bound_contextvars(**names), tracing.arriving(traceparent):
            if context.job.queueing_lock is not None:
                await context.app.connector.execute_query_async(_GIVE_UP_QUEUEING_LOCK, id=context.job.id)
            started = time.perf_counter()
            await run(UUID(uuid))
            _log.info("job done", ms=round((time.perf_counter() - started) * 1000, 1))

    return job


def _for_clock(work: Periodic, watch: Watch) -> Callable[..., Awaitable[None]]:
    async def job(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - procrastinate passes the round's time
        name = context.job.task_name
        with structlog.contextvars.bound_contextvars(job=name, job_id=context.job.id), watch.job(name):
            await work.run(context.app)

    return job


async def retry_stalled_jobs(app: procrastinate.App, *, silent_for: timedelta) -> None:
    """Put the jobs of workers that have not been heard of for so long back into the queue.

    A lost round of periodic work is only cleared away: the next one comes by itself.
    """
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=silent_for.total_seconds()):
        _log.warning("taking over the job of a lost worker", job=job.task_name, job_id=job.id)
        if job.queue == QUEUE:
            await app.connector.execute_query_async(_GIVE_UP_QUEUEING_LOCK, id=job.id)
            await app.job_manager.retry_job(job)
        else:
            await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)


async def remove_old_jobs(app: procrastinate.App, *, older_than: timedelta) -> None:
    """Delete what failed or was cancelled so long ago; jobs that succeeded are deleted as they end."""
    hours = int(older_than / timedelta(hours=1))
    await app.job_manager.delete_old_jobs(
        nb_hours=hours, include_failed=True, include_cancelled=True, include_aborted=True
    )


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
