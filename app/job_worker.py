"""The worker's side of the queue, on procrastinate: runs jobs by name and periodic work by the clock."""

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import procrastinate
import structlog
from procrastinate import BaseRetryStrategy, JobContext, RetryDecision
from procrastinate.jobs import Job as QueuedJob
from procrastinate.jobs import Status

from app.errors import Retry
from app.job_queue import QUEUE
from app.telemetry import tracing
from app.telemetry.watch import Watch

_log = structlog.get_logger(__name__)

_LONGEST_BACKOFF: Final = timedelta(minutes=10)

# The queueing lock forbids two jobs in waiting. One that has begun gives it up: a second may wait by the time the first
# has to go back to waiting, and the database would refuse that, which would leave the first as "running" for ever.
_GIVE_UP_QUEUEING_LOCK: Final = "UPDATE procrastinate_jobs SET queueing_lock = NULL WHERE id = %(id)s"


@dataclass(frozen=True, slots=True)
class Periodic:
    """Work without a resource, at the times of `cron` (five fields, or six with seconds last)."""

    cron: str
    run: Callable[[procrastinate.App], Awaitable[None]]


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
        # Each of the queue's statements is a transaction by itself: no BEGIN, no COMMIT.
        connector=procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=4, kwargs={"autocommit": True}),
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
