"""What becomes of a job: which ones there are, what their errors mean, and what follows when one is given up."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app import job_queue
from app.context import Context
from app.errors import Gone, Refused, Retry, Unauthorized
from app.resources import jobs, removal, retirement, suspension
from app.resources.app_facts import read_app
from app.resources.jobs import SORRY
from app.resources.lifecycle import PROGRAM, end_in_background, give_up_provisioning, locked, record, tell
from app.resources.log_writing import write_log
from app.resources.models import Resource, State
from app.resources.plan_change import take_back_move
from app.resources.unchanged import Seen
from app.resources.usage import measure_usage
from app.resources.webhook_subscription import keep_webhook
from app.resources.webhooks import fail_waiting, handle_webhooks
from app.telemetry.watch import Run

_log = structlog.get_logger(__name__)

# Unexpected errors in a row before a job is given up; with the queue's backoff that is about ten minutes.
PATIENCE: Final = 10
# A job that runs longer hangs: it is stopped and counts as failed, or it would hold a worker's place for ever.
LONGEST_RUN: Final = timedelta(hours=1)
_PUSHED_AGAIN_AFTER: Final = timedelta(seconds=1)


async def _fail_provisioning(context: Context, session: AsyncSession, resource: Resource, reason: str) -> None:
    """The end of a provision that cannot succeed: Heroku is told first, then the resource ends with this reason."""
    if resource.state is not State.PROVISIONING:
        return
    resource.refusal = reason
    await end_in_background(context, session, resource.uuid)


async def _fail_announcing(context: Context, session: AsyncSession, resource: Resource, _reason: str) -> None:
    """As above; the reason is Heroku's and for operators, so the customer gets a sentence of ours."""
    await _fail_provisioning(context, session, resource, SORRY)


async def _forget_grant(context: Context, session: AsyncSession, resource: Resource, reason: str) -> None:
    """A dead grant is no hope for tokens: what needs them may not wait for it."""
    resource.seal(context.keys, "grant", None)
    await _fail_provisioning(context, session, resource, reason)


async def _leave_as_is(_context: Context, _session: AsyncSession, _resource: Resource, _reason: str) -> None:
    """What a customer has keeps working; the history and `last_error` tell operators."""


async def _stop_settling(context: Context, session: AsyncSession, resource: Resource, reason: str) -> None:
    resource.unsettled_since = None
    work = await job_queue.work_of(session, resource.uuid)
    # One that waits decides about a plan that was chosen after this one had begun.
    if not any(other.name == "settle" and not other.is_running for other in work):
        await take_back_move(context, session, resource, None if reason == SORRY else reason)
    await _fail_provisioning(context, session, resource, reason)


async def _end_rotation(context: Context, session: AsyncSession, resource: Resource, _reason: str) -> None:
    if resource.rotation_requested_at is None:  # the new credentials are made
        return
    resource.rotation_requested_at = None
    text = "The rotation did not succeed. The present credentials keep working; please try again or contact support."
    await tell(context, session, resource.uuid, context.clock(), "rotation_failed", PROGRAM, text)


async def _end_here(context: Context, session: AsyncSession, resource: Resource, reason: str) -> None:
    await give_up_provisioning(context, session, resource, resource.refusal or reason)


async def _set_aside_again(context: Context, session: AsyncSession, resource: Resource, reason: str) -> None:
    """Whatever of it is open by now is closed, and what is kept is kept."""
    resource.restored_at = None
    text = f"The service could not be restored: {reason}"
    record(session, resource.uuid, context.clock(), "restoring_failed", PROGRAM, text, is_for_customer=False)
    await context.queue.enqueue(session, "deprovision_service", resource.uuid, at_most_one=True)


_Follows = Callable[[Context, AsyncSession, Resource, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Job:
    """A job, and what becomes of the resource when the job is given up.

    `run` may return the row as it leaves it. `given_up` is None for work that is never given up, because something
    would stay behind. `skipped` is what becomes of the resource when an operator takes such work out of the queue all
    the same; None if not even they may.
    """

    run: Callable[[Context, UUID], Awaitable[Seen | None]]
    given_up: _Follows | None
    skipped: _Follows | None = None

    @property
    def when_skipped(self) -> _Follows | None:
        """What follows when an operator takes it out of the queue; None if they may not."""
        return self.given_up or self.skipped


JOBS: Final[Mapping[str, Job]] = {
    "exchange_grant": Job(jobs.exchange_grant, _forget_grant),
    "provision_service": Job(jobs.provision_service, _fail_provisioning),
    "push_config": Job(jobs.push_config, _fail_announcing),
    "announce_provisioned": Job(jobs.announce_provisioned, _fail_announcing),
    "settle": Job(jobs.settle, _stop_settling),
    "rotate_service": Job(jobs.rotate_service, _end_rotation),
    "retire_service": Job(retirement.retire_service, None),
    "suspend_service": Job(suspension.suspend_service, None, skipped=_leave_as_is),
    "resume_service": Job(suspension.resume_service, None, skipped=_leave_as_is),
    "deprovision_service": Job(removal.deprovision_service, None),
    "bring_back_service": Job(removal.bring_back_service, _set_aside_again),
    "report_failure": Job(jobs.report_failure, _end_here),
    "measure_usage": Job(measure_usage, _leave_as_is),
    "read_app": Job(read_app, _leave_as_is),
    "write_log": Job(write_log, _leave_as_is),
    "keep_webhook": Job(keep_webhook, _leave_as_is),
    "handle_webhooks": Job(handle_webhooks, fail_waiting),
}


async def run_job(context: Context, name: str, uuid: UUID) -> None:
    """Run a job and decide what its error means: returning is the end of it, raising means again later.

    Raises:
        Exception: whatever should be tried again; a `Retry` says when.
    """
    job = JOBS[name]
    left = await _run(context, name, uuid, lambda: job.run(context, uuid))
    if left is not None and name == "rotate_service":
        await _push_at_once(context, left)


async def _push_at_once(context: Context, rotated: Seen) -> None:
    """Push what a rotation has made without another job, and have one do it later if that does not succeed.

    If the process dies meanwhile, the rotation's job is run again: it finds nothing to make, and comes here.
    """
    uuid = rotated.resource.uuid
    try:
        await _run(context, "push_config", uuid, lambda: jobs.push(context, rotated))
    except Exception as error:  # noqa: BLE001 - what each means has been decided: again later
        after = (error.after if isinstance(error, Retry) else None) or _PUSHED_AGAIN_AFTER
        async with context.database.transaction() as session:
            await context.queue.enqueue(session, "push_config", uuid, after=after)


async def _run(context: Context, name: str, uuid: UUID, work: Callable[[], Awaitable[Seen | None]]) -> Seen | None:
    with context.watch.job(name, uuid) as seen:
        return await _decide(context, name, uuid, work, seen)


async def _decide(
    context: Context, name: str, uuid: UUID, work: Callable[[], Awaitable[Seen | None]], seen: Run
) -> Seen | None:
    given_up = JOBS[name].given_up
    try:
        async with asyncio.timeout(LONGEST_RUN.total_seconds()):
            left = await work()
    except Gone as gone:
        seen.outcome = "gone"
        _log.info("job has nothing to do any more", reason=str(gone))
    except Retry as retry:
        _log.info("job waits", reason=str(retry), after=str(retry.after))
        raise
    except Unauthorized as error:
        seen.outcome = "retry"
        await _note_failure(context, name, uuid, str(error), is_unauthorized=True)
        raise Retry(str(error)) from error
    except Refused as refused:
        if given_up is None:
            seen.outcome = "retry"
            await _note_failure(context, name, uuid, refused.message)
            raise Retry(refused.message) from refused
        seen.outcome = "given_up"
        await _give_up(context, given_up, name, uuid, refused.message)
    except Exception as error:
        seen.outcome = "failed"
        _log.exception("job failed")
        failures = await _note_failure(context, name, uuid, f"{type(error).__name__} in {name}")
        if failures < PATIENCE or given_up is None:
            raise
        seen.outcome = "given_up"
        await _give_up(context, given_up, name, uuid, SORRY)
    else:
        if left is None or left.resource.failures > 0 or left.resource.unauthorized_at is not None:
            await _note_success(context, uuid)
        return left
    return None


async def _give_up(context: Context, given_up: _Follows, name: str, uuid: UUID, reason: str) -> None:
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        now = context.clock()
        resource.failures = 0
        resource.last_error, resource.last_error_at = f"{name}: {reason}", now
        _log.error("job given up", reason=reason)
        record(session, uuid, now, "given_up", PROGRAM, f"{name} given up: {reason}", is_for_customer=False)
        await given_up(context, session, resource, reason)


async def _note_failure(context: Context, name: str, uuid: UUID, error: str, *, is_unauthorized: bool = False) -> int:
    """Note an error where operators see it; how many unexpected ones there were in a row."""
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        now = context.clock()
        if is_unauthorized:
            resource.unauthorized_at = now
        else:
            resource.failures += 1
        resource.last_error, resource.last_error_at = f"{name}: {error}", now
        return resource.failures


# Nearly always there is nothing to forget.
_FORGET_TROUBLE: Final = """
    UPDATE resources SET failures = 0, unauthorized_at = NULL
    WHERE uuid = %s AND (failures > 0 OR unauthorized_at IS NOT NULL)
"""


async def _note_success(context: Context, uuid: UUID) -> None:
    async with context.database.statements() as connection:
        await connection.execute(_FORGET_TROUBLE, (uuid,))
