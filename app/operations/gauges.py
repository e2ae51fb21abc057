"""How things stand at this moment, in numbers: asked of the rows, each through an index of its own."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from sqlalchemy import ColumnElement, and_, func, select, text

from app.context import Context
from app.operations import alerts, reconciliation
from app.operations.alerts import KINDS
from app.resources.models import Resource, State
from app.resources.outcomes import JOBS
from app.resources.traces import WebhookEvent

_IS_HERE: Final = Resource.state != State.DEPROVISIONED
_OLDEST: Final[dict[str, tuple[str, Any, ColumnElement[bool]]]] = {
    "addon_push_lag_seconds": (
        "For how long Heroku has had config vars that are older than ours, where it is longest.",
        Resource.config_changed_at,
        and_(Resource.config_version > Resource.pushed_version, _IS_HERE),
    ),
    "addon_provisioning_oldest_seconds": (
        "For how long the resource has been provisioning that waits longest; Heroku gives up after twelve hours.",
        Resource.created_at,
        Resource.state == State.PROVISIONING,
    ),
    "addon_grant_oldest_seconds": (
        "For how long a grant has not been exchanged, where it is longest; it expires after five minutes.",
        Resource.grant_received_at,
        and_(Resource.grant_sealed.is_not(None), _IS_HERE),
    ),
    "addon_tokens_refused_oldest_seconds": (
        "For how long Heroku has refused a resource's tokens, where it is longest.",
        Resource.tokens_refused_at,
        and_(Resource.tokens_refused_at.is_not(None), _IS_HERE),
    ),
    "addon_unsettled_oldest_seconds": (
        "For how long a resource has waited to be settled after a request that did not finish, where it is longest.",
        Resource.unsettled_since,
        Resource.unsettled_since.is_not(None),
    ),
    "addon_retirement_overdue_seconds": (
        "For how long previous credentials have worked beyond their time, where it is longest.",
        Resource.retire_at,
        Resource.retire_at.is_not(None),
    ),
}
_FLAGS: Final[dict[str, ColumnElement[bool]]] = {
    "push_waiting": and_(Resource.config_version > Resource.pushed_version, _IS_HERE),
    "tokens_refused": and_(Resource.tokens_refused_at.is_not(None), _IS_HERE),
    "grant_waiting": and_(Resource.grant_sealed.is_not(None), _IS_HERE),
    "unsettled": Resource.unsettled_since.is_not(None),
    "over_quota": and_(Resource.over_quota_at.is_not(None), _IS_HERE),
    "suspended": and_(Resource.suspended_at.is_not(None), _IS_HERE),
    "failing": and_(Resource.failures > 0, _IS_HERE),
    "unknown_to_heroku": and_(Resource.unknown_to_heroku_at.is_not(None), _IS_HERE),
    "kept": Resource.kept_until.is_not(None),
}
_ROTATIONS: Final[dict[str, ColumnElement[bool]]] = {
    "requested": Resource.rotation_requested_at.is_not(None),
    "pushing": Resource.rotated_at.is_not(None),
    "retiring": Resource.retire_at.is_not(None),
}
# As in `job_queue.oldest_due_age`, a job behind another one of its resource is not due. With windows: to look for each
# job's predecessors one by one takes minutes where many thousands wait.
_JOBS: Final = text("""
    WITH unfinished AS (
      SELECT id, task_name, status, scheduled_at,
             lock IS NULL OR (id = min(id) OVER lane AND NOT bool_or(status = 'doing') OVER lane) AS is_first
      FROM procrastinate_jobs WHERE status IN ('todo', 'doing') WINDOW lane AS (PARTITION BY lock)
    )
    SELECT job.task_name, count(*), max(extract(epoch FROM now() - coalesce(job.scheduled_at, event.at)))
      FILTER (WHERE is_first AND (job.scheduled_at IS NULL OR job.scheduled_at <= now()))
    FROM unfinished job
    JOIN procrastinate_events event ON event.job_id = job.id AND event.type = 'deferred'
    WHERE job.status = 'todo'
    GROUP BY job.task_name
""")


async def families(context: Context) -> Sequence[Metric]:
    """Every gauge with its value now.

    Raises:
        Retry: the database is not available, or took too long.
    """
    now = context.clock()
    oldest = {name: select(func.min(column)).where(is_met) for name, (_, column, is_met) in _OLDEST.items()}
    counts = {name: select(func.count()).select_from(Resource).where(is_met) for name, is_met in _FLAGS.items()}
    rotations = {name: select(func.count()).select_from(Resource).where(at) for name, at in _ROTATIONS.items()}
    webhooks = select(func.count()).select_from(WebhookEvent).where(WebhookEvent.status == "waiting")
    everything = [query.scalar_subquery().label(name) for name, query in (oldest | counts | rotations).items()]
    plans = (
        select(Resource.plan, Resource.state, func.count())
        .where(Resource.state.in_([State.PROVISIONING, State.PROVISIONED]))
        .group_by(Resource.plan, Resource.state)
    )
    async with context.database.transaction() as session:
        found = (await session.execute(select(*everything))).mappings().one()
        resources = {(plan, state.value): number for plan, state, number in (await session.execute(plans)).all()}
        webhooks_waiting = await session.scalar(webhooks) or 0
        jobs = {name: (number, due) for name, number, due in (await session.execute(_JOBS)).all()}
    jobs = dict.fromkeys(JOBS, (0, 0)) | jobs
    resources = {(plan, state): 0 for plan in context.plans for state in ("provisioning", "provisioned")} | resources
    return [
        _by(("plan", "state"), "addon_resources", "Resources that are not deprovisioned.", resources),
        _by("flag", "addon_resources_flagged", "Resources of which something special is the case.", _of(found, counts)),
        _by("stage", "addon_rotations", "Rotations of credentials that are under way.", _of(found, rotations)),
        *(_alone(name, _OLDEST[name][0], _age(found[name], now)) for name in oldest),
        _by(
            "job",
            "addon_jobs_waiting",
            "Jobs that wait in the queue, also those whose time has not come.",
            {name: number for name, (number, _) in jobs.items()},
        ),
        _by(
            "job",
            "addon_jobs_oldest_due_seconds",
            "For how long the job has been due that waits longest for a worker.",
            {name: max(float(due or 0), 0) for name, (_, due) in jobs.items()},
        ),
        _alone("addon_webhooks_waiting", "Webhooks from Heroku that wait to be worked on.", webhooks_waiting),
        *await _watching(context, now),
    ]


async def _watching(context: Context, now: datetime) -> Sequence[Metric]:
    """What the program finds out about itself: alerts, and differences with Heroku's list."""
    open_alerts = await alerts.count_open(context)
    run = await reconciliation.latest(context)
    found = [
        _by("kind", "addon_alerts_open", "Alerts that are not over.", dict.fromkeys(KINDS, 0) | dict(open_alerts)),
    ]
    if run is not None:
        differences = await reconciliation.open_differences(context, run.id)
        failed = int(run.error is not None)
        found += [
            _alone("addon_reconciliation_differences", "Differences of the last reconciliation, open.", differences),
            _alone("addon_reconciliation_age_seconds", "Since it was begun.", _age(run.begun_at, now)),
            _alone("addon_reconciliation_failed", "1 if it failed, else 0.", failed),
        ]
    return found


def _of(found: Mapping[Any, Any], names: Mapping[str, object]) -> dict[str, float]:
    return {name: found[name] for name in names}


def _age(at: datetime | None, now: datetime) -> float:
    """Seconds since then; 0 for nothing, and for what is yet to come."""
    return max((now - at).total_seconds(), 0) if at is not None else 0


def _alone(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(name, says, value=value)


def _by(labels: str | Sequence[str], name: str, says: str, values: Mapping[Any, float]) -> Metric:
    """A gauge with a line for each of `values`, whose keys are values of the label or of all labels."""
    names = [labels] if isinstance(labels, str) else labels
    family = GaugeMetricFamily(name, says, labels=names)
    for key, value in sorted(values.items()):
        family.add_metric([key] if isinstance(key, str) else key, value)
    return family
