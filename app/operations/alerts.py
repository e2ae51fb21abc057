"""What the team is alerted of: conditions that are looked at every minute, each an `Alert` from its begin to its end.

An alert is opened once for its kind and subject, and closed when its condition is over. Telling the team is the work of
`telling.py`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as insert_row
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.job_queue import oldest_due_age
from app.operations import audit_log, healing, reconciliation
from app.operations.models import Alert
from app.resources.models import Hold, Resource, State

_log = structlog.get_logger(__name__)

PUSH_WAITS: Final = timedelta(minutes=15)
PROVISION_WAITS: Final = timedelta(hours=1)
# A failed provision is news, not a condition: its alert is open for a day.
FAILED_PROVISION_SHOWN: Final = timedelta(days=1)
# Unexpected errors in a row; at twice as many the job is given up, if it is one that can be.
MANY_FAILURES: Final = 5
SUSPENSION_WAITS: Final = timedelta(minutes=5)
RETIREMENT_WAITS: Final = timedelta(hours=1)
QUEUE_WAITS: Final = timedelta(minutes=5)
# Once open, the alert about the queue stays until the wait is shorter than this, so that it does not come and go.
_QUEUE_IS_FINE: Final = timedelta(minutes=1)
# Of one kind no more are open at once; who wants to see all of a storm searches the resources.
MOST_OPEN: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of alert.

    Attributes:
        title: what has happened, as a heading.
        advice: what to do, in a sentence.
        tells_end: whether the team is told when it is over.
    """

    title: str
    advice: str
    tells_end: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfResources:
    """A condition that each resource meets or not."""

    is_met: Callable[[datetime], ColumnElement[bool]]
    text: Callable[[Resource], str]


KINDS: Final[Mapping[str, Kind]] = {
    "provision_failed": Kind(
        title="Provisioning failed",
        advice="See the last error of the resource; its customer was told that it could not be provisioned.",
        tells_end=False,
    ),
    "provision_waits": Kind(
        title="Provisioning takes long",
        advice="See what its jobs wait for; Heroku gives it up after twelve hours.",
    ),
    "push_waits": Kind(
        title="Config vars wait to be pushed",
        advice="See its last error. Customers' apps may have credentials that stop working.",
    ),
    "retirement_waits": Kind(
        title="Heroku may lack new credentials",
        advice="See its config vars at Heroku. The previous credentials go on working until that is clear.",
    ),
    "config_differs": Kind(
        title="Heroku has other config vars",
        advice="They were never ours, as far as is known. Was our database restored? Then reconcile; else push again.",
    ),
    "token_refused": Kind(
        title="Heroku refuses the tokens",
        advice="For many: is HEROKU_CLIENT_SECRET right? For one: Heroku may have removed it, so reconcile.",
    ),
    "driver_fails": Kind(
        title="Work fails again and again",
        advice="See the last error of the resource, and the log.",
    ),
    "suspension_waits": Kind(
        title="A suspension is not carried out",
        advice="See the last error of the resource. Its other work waits for it, unless you skip the job.",
    ),
    "queue_waits": Kind(
        title="The queue is late",
        advice="Start another worker, or see in the log what the workers do.",
    ),
    "reconciliation_differs": Kind(
        title="Heroku's list differs from ours",
        advice="Look at the differences and have them repaired.",
    ),
    "reconciliation_failed": Kind(
        title="Reconciliation failed",
        advice="See why; until it works, nobody notices what Heroku and we disagree on.",
    ),
    "audit_broken": Kind(
        title="The audit log is broken",
        advice="Somebody has altered it in the database. Keep a copy of that first, then see what differs.",
    ),
}


def _push_waits(now: datetime) -> ColumnElement[bool]:
    since = Resource.config_changed_at
    return and_(
        Resource.config_version > Resource.pushed_version,
        Resource.state == State.PROVISIONED,
        or_(since.is_(None), since <= now - PUSH_WAITS),
    )


# What is the matter with the program as a whole, if anything; it is told which alerts about that are open.
_Look = Callable[[Context, Sequence[Alert]], Awaitable[str | None]]

_OF_RESOURCES: Final[Mapping[str, _OfResources]] = {
    "provision_failed": _OfResources(
        is_met=lambda now: and_(
            Resource.refusal.is_not(None), Resource.deprovisioned_at > now - FAILED_PROVISION_SHOWN
        ),
        text=lambda one: f"{one.name} ({one.plan}) could not be provisioned.",
    ),
    "provision_waits": _OfResources(
        is_met=lambda now: and_(Resource.state == State.PROVISIONING, Resource.created_at <= now - PROVISION_WAITS),
        text=lambda one: f"{one.name} ({one.plan}) is still being provisioned after an hour.",
    ),
    "push_waits": _OfResources(
        is_met=_push_waits,
        text=lambda one: f"Heroku has had older config vars of {one.name} for more than 15 minutes.",
    ),
    "retirement_waits": _OfResources(
        is_met=lambda now: and_(
            Resource.retirement_waits_since <= now - RETIREMENT_WAITS, Resource.retirement_waits_for == Hold.HEROKU
        ),
        text=lambda one: f"The previous credentials of {one.name} are kept: Heroku may not have the new ones.",
    ),
    "config_differs": _OfResources(
        is_met=lambda _: and_(Resource.config_differs_at.is_not(None), Resource.state == State.PROVISIONED),
        text=lambda one: f"Heroku has other config vars of {one.name} than it was sent.",
    ),
    "token_refused": _OfResources(
        is_met=lambda _: and_(Resource.tokens_refused_at.is_not(None), Resource.state != State.DEPROVISIONED),
        text=lambda one: f"Heroku does not accept the refresh token of {one.name}.",
    ),
    "suspension_waits": _OfResources(
        is_met=lambda now: Resource.suspension_waits_since <= now - SUSPENSION_WAITS,
        text=lambda one: (
            f"{one.name} ({one.plan}) is "
            + ("suspended, but its service is still open." if one.suspended_at else "resumed, but still closed.")
        ),
    ),
    "driver_fails": _OfResources(
        is_met=lambda _: and_(Resource.failures >= MANY_FAILURES, Resource.failures > 0),  # the index says "> 0"
        text=lambda resource: (
            f"Work for {resource.name} ({resource.plan}) has failed {resource.failures} times in a row."
        ),
    ),
}


async def check(context: Context) -> None:
    """Open what has begun, close what is over. What cannot be looked at now stays as it is and hinders nothing else."""
    for kind, condition in _OF_RESOURCES.items():
        await _tried(kind, _check_resources(context, kind, condition))
    for kind, look in (
        ("queue_waits", _queue),
        ("reconciliation_differs", _differences),
        ("reconciliation_failed", _failed_reconciliation),
        ("audit_broken", _broken_chain),
    ):
        await _tried(kind, _check_program(context, kind, look))


async def _tried(kind: str, work: Awaitable[None]) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001 - one condition that cannot be looked at must not silence the others
        _log.exception("an alert's condition could not be looked at", kind=kind)


async def _check_resources(context: Context, kind: str, condition: _OfResources) -> None:
    now = context.clock()
    async with context.database.transaction() as session:
        known = {UUID(alert.subject): alert.id for alert in await _open_of(session, kind)}
        met = condition.is_met(now)
        still = set(await session.scalars(select(Resource.uuid).where(Resource.uuid.in_(known), met)))
        await _close(session, [id_ for uuid, id_ in known.items() if uuid not in still], now, kind)
        query = select(Resource).where(met, Resource.uuid.not_in(known)).limit(max(0, MOST_OPEN - len(still)))
        for resource in await session.scalars(query):
            await _open(session, kind, str(resource.uuid), condition.text(resource), now)


async def _check_program(context: Context, kind: str, look: _Look) -> None:
    now = context.clock()
    async with context.database.transaction() as session:
        known = await _open_of(session, kind)
    text = await look(context, known)
    async with context.database.transaction() as session:
        if text is None:
            await _close(session, [alert.id for alert in known], now, kind)
        elif not known:
            await _open(session, kind, "", text, now)
        else:
            is_it = (Alert.kind == kind, Alert.closed_at.is_(None), Alert.text != text)
            await session.execute(update(Alert).where(*is_it).values(text=text))


async def _open_of(session: AsyncSession, kind: str) -> Sequence[Alert]:
    return (await session.scalars(select(Alert).where(Alert.kind == kind, Alert.closed_at.is_(None)))).all()


async def _open(session: AsyncSession, kind: str, subject: str, text: str, now: datetime) -> None:
    values = {"kind": kind, "subject": subject, "text": text, "opened_at": now}
    await session.execute(insert_row(Alert).values(values).on_conflict_do_nothing())


async def _close(session: AsyncSession, ids: Sequence[int], now: datetime, kind: str) -> None:
    if ids:
        over = update(Alert).where(Alert.id.in_(ids), Alert.closed_at.is_(None)).values(closed_at=now)
        if not KINDS[kind].tells_end:
            over = over.values(closing_told_at=now)
        await session.execute(over)


async def _queue(context: Context, known: Sequence[Alert]) -> str | None:
    async with context.database.transaction() as session:
        age = await oldest_due_age(session)
    if age <= (_QUEUE_IS_FINE if known else QUEUE_WAITS):
        return None
    return f"A job that is due has waited for {max(1, age // timedelta(minutes=1))} minutes."


async def _differences(context: Context, _known: Sequence[Alert]) -> str | None:
    run = await reconciliation.latest(context)
    if run is None or run.error is not None:
        return None
    number = await reconciliation.open_differences(context, run.id) - await healing.being_mended(context, run)
    if not number and run.caution is None:
        return None
    what = f"{number:,} difference{'' if number == 1 else 's'} with Heroku's list"
    return f"{what}. {run.caution}" if run.caution else f"{what}."


async def _failed_reconciliation(context: Context, _known: Sequence[Alert]) -> str | None:
    run = await reconciliation.latest(context)
    return run.error if run is not None else None


async def _broken_chain(context: Context, _known: Sequence[Alert]) -> str | None:
    state = await audit_log.chain_state(context)
    return state.checked.text if state.is_broken and state.checked is not None else None


async def open_alerts(context: Context, *, limit: int = 100) -> Sequence[Alert]:
    """What is not over, the newest first."""
    query = select(Alert).where(Alert.closed_at.is_(None)).order_by(Alert.opened_at.desc(), Alert.id.desc())
    async with context.database.transaction() as session:
        return (await session.scalars(query.limit(limit))).all()


async def count_open(context: Context) -> Mapping[str, int]:
    """How many alerts of each kind are not over."""
    query = select(Alert.kind, func.count()).where(Alert.closed_at.is_(None)).group_by(Alert.kind)
    async with context.database.transaction() as session:
        return dict((await session.execute(query)).all())


async def past_alerts(
    context: Context, *, before: tuple[datetime, int] | None = None, limit: int = 50
) -> Sequence[Alert]:
    """What is over, what was over last first; with `before`, what comes after that time of its end and id."""
    query = select(Alert).where(Alert.closed_at.is_not(None))
    if before is not None:
        query = query.where(tuple_(Alert.closed_at, Alert.id) < before)
    async with context.database.transaction() as session:
        return (await session.scalars(query.order_by(Alert.closed_at.desc(), Alert.id.desc()).limit(limit))).all()
