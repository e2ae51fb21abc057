"""Actions on what waits for a resource in the job queue: run it now, ask for it again, or give one job up."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app import job_queue
from app.context import Context
from app.errors import Refused
from app.operations.action import Action, Order, Parameter, record_order
from app.operators.roles import Role
from app.resources.jobs import GRANT_LIFE, SORRY
from app.resources.lifecycle import locked
from app.resources.models import Resource, State
from app.resources.outcomes import JOBS

_NOTHING_TO_RETRY: Final = "Nothing waits for this resource, and nothing is missing."


def _always(_context: Context, _resource: Resource) -> str | None:
    return None


async def _why_nothing_to_retry(context: Context, resource: Resource) -> str | None:
    async with context.database.transaction() as session:
        work = await job_queue.work_of(session, resource.uuid)
    in_queue = {job.name for job in work}
    waits = any(not job.is_running for job in work)
    return None if waits or set(_missing(context, resource)) - in_queue else _NOTHING_TO_RETRY


async def _foretell_retry(_context: Context, resource: Resource) -> str:
    return (
        f"Whatever waits for {resource.name} is tried now instead of at its time, and what was given up although it is "
        "still missing is asked for again. Nothing happens twice by this."
    )


async def _retry(context: Context, uuid: UUID, order: Order) -> str:
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        waiting = await job_queue.run_now(session, uuid)
        in_queue = {work.name for work in await job_queue.work_of(session, uuid)}
        again = [name for name in _missing(context, resource) if name not in in_queue]
        if not waiting and not again:
            raise Refused(_NOTHING_TO_RETRY)
        for name in again:
            await context.queue.enqueue(session, name, uuid, at_most_one=True, priority=int(name in _FIRST))
        parts = []
        if waiting:
            parts.append(f"{waiting} waiting {'job runs' if waiting == 1 else 'jobs run'} now")
        if again:
            parts.append(f"asked for again: {', '.join(again)}")
        said = "; ".join(parts)
        text = said[:1].upper() + said[1:]
        record_order(context, session, uuid, order, "retried", text)
    return f"{text}."


# A grant lives minutes only, and all that waits needs the tokens. An operator's word about who is let in does not wait.
_FIRST: Final = ("exchange_grant", "suspend_service", "resume_service")


def _missing(context: Context, resource: Resource) -> Sequence[str]:
    """The jobs that would bring forward what the row says is not done yet, in their order."""
    if resource.is_gone:
        return ["deprovision_service"] if resource.removed_at is None and resource.kept_until is None else []
    now = context.clock()
    is_grant_alive = (
        resource.grant_sealed is not None
        and resource.grant_received_at is not None
        and now <= resource.grant_received_at + GRANT_LIFE
    )
    is_provisioning = resource.state is State.PROVISIONING
    is_suspended, suspension_waits = resource.suspended_at is not None, resource.suspension_waits_since is not None
    due = {
        "exchange_grant": is_grant_alive and not resource.has_tokens,
        "suspend_service": suspension_waits and is_suspended,
        "resume_service": suspension_waits and not is_suspended,
        "report_failure": is_provisioning and resource.refusal is not None,
        "provision_service": is_provisioning and resource.refusal is None and resource.config_version == 0,
        "settle": resource.unsettled_since is not None or resource.is_moving,
        "rotate_service": resource.rotation_requested_at is not None,
        "push_config": resource.needs_push and resource.has_tokens,
        "announce_provisioned": is_provisioning and resource.refusal is None and resource.config_version > 0,
        "retire_service": resource.retire_at is not None and resource.retire_at <= now,
    }
    return [name for name, is_due in due.items() if is_due]


RETRY_NOW: Final = Action(
    id="retry-now",
    title="Retry now",
    role=Role.SUPPORT,
    why_not=_always,
    foretell=_foretell_retry,
    run=_retry,
    is_for_many=True,
    why_idle=_why_nothing_to_retry,
)

# What follows when a job is given up, for who chooses; `outcomes.JOBS` does it.
_CONSEQUENCES: Final[Mapping[str, str]] = {
    "exchange_grant": "we never get tokens; if it is still being provisioned, it ends and Heroku is told",
    "provision_service": "the provisioning ends and Heroku is told",
    "push_config": "Heroku keeps the config vars it has; if it is still being provisioned, it ends",
    "announce_provisioned": "the provisioning ends and Heroku is told",
    "settle": "the service stays on the terms it has; a plan that it was moved to is taken back",
    "suspend_service": "it counts as suspended, but its customer may still get in, until Retry now has succeeded",
    "resume_service": "it counts as resumed, but its customer may still be shut out, until Retry now has succeeded",
    "rotate_service": "the rotation ends and the present credentials stay",
    "report_failure": "it ends here although Heroku does not know",
    "measure_usage": "no reading is taken this time",
    "handle_webhooks": "what Heroku told is left as it is; it can be handled again",
    "bring_back_service": "what was to be restored stays out of reach",
}


async def _skippable(context: Context, resource: Resource) -> Sequence[job_queue.QueuedWork]:
    async with context.database.transaction() as session:
        work = await job_queue.work_of(session, resource.uuid)
    return [job for job in work if not job.is_running and job.name in JOBS and JOBS[job.name].when_skipped is not None]


async def _waiting_jobs(context: Context, resource: Resource) -> Sequence[tuple[str, str]]:
    return [
        (
            str(job.id),
            f"{job.name}, begun {'once' if job.attempts == 1 else f'{job.attempts} times'}: {_consequence(job.name)}",
        )
        for job in await _skippable(context, resource)
    ]


def _consequence(name: str) -> str:
    return _CONSEQUENCES.get(name, "nothing follows")


async def _foretell_skip(context: Context, resource: Resource) -> str:
    names = dict.fromkeys(job.name for job in await _skippable(context, resource))
    # Also here: a list on a phone shows the beginnings of its lines only.
    follows = " ".join(f"{name}: {_consequence(name)}." for name in names)
    return (
        f"The job of {resource.name} that you choose is given up as if it had failed too often, and whatever waits "
        f"behind it goes on. What follows: {follows or 'nothing.'}"
    )


async def _skip(context: Context, uuid: UUID, order: Order) -> str:
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        name = await job_queue.drop(session, uuid, int(order.parameters["job"]))
        if name is None:
            raise Refused("That job does not wait any more.")
        record_order(context, session, uuid, order, "job_skipped", f"{name} given up")
        await _give_up(context, session, resource, name)
    return f"{name} was given up."


async def _give_up(context: Context, session: AsyncSession, resource: Resource, name: str) -> None:
    follows = JOBS[name].when_skipped
    if follows is None:
        raise Refused(f"{name} is never given up: something would stay behind.")
    resource.failures = 0
    await follows(context, session, resource, SORRY)


SKIP_JOB: Final = Action(
    id="skip-job",
    title="Skip a stuck job",
    role=Role.OPERATOR,
    why_not=_always,
    foretell=_foretell_skip,
    run=_skip,
    is_grave=True,
    parameters=(
        Parameter(
            name="job",
            label="Job",
            choices=_waiting_jobs,
            no_choices="No job waits that could be given up.",
        ),
    ),
)
