"""What Heroku tells by webhooks about a resource: taken at once, handled by a job, forgotten in time.

https://devcenter.heroku.com/articles/webhook-events. Events come twice, late and in any order, so none is believed as
far as it says how things are: it only says that something has changed. The job then asks Heroku how things are now, and
whatever came meanwhile is answered by the same question. So the order cannot matter, and a repeated event changes
nothing but the count of its deliveries.

An event older than `OLDEST` is put away unhandled. Events are kept for longer than that: one that is played back by
somebody else finds either its first delivery here, or itself too old.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Gone, Refused, Unauthorized
from app.exchanges import readable
from app.heroku_answers import words
from app.resources.app_facts import refresh, sentence
from app.resources.lifecycle import record
from app.resources.models import Resource
from app.resources.traces import WebhookEvent
from app.resources.webhook_subscription import INCLUDE

# Heroku tries for 72 hours, and then once more.
OLDEST: Final = timedelta(days=7)
KEPT_FOR: Final = timedelta(days=30)
# Nothing followed from these, nor would it if they came again; of an app that is often deployed there are many.
IGNORED_KEPT_FOR: Final = timedelta(days=7)
# After its resource is gone, a secret is needed for what Heroku still has to tell, so that it need not tell it again.
TAIL: Final = timedelta(days=4)
PRIORITY: Final = -2
_AT_ONCE: Final = 5000
_LONGEST_ID: Final = 100

# The parts of a thing that are kept here: an update of others is of no interest.
_KEPT: Final = {
    "api:addon": frozenset({"name", "plan", "state", "app", "billing_entity"}),
    "api:app": frozenset({"name", "owner", "team", "organization"}),
}
_ENDED: Final = "The resource has been deprovisioned."
NOTHING_NEW: Final = "Nothing new: it was known already."


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event as Heroku tells it, as far as it is used; the attributes are those of `WebhookEvent`.

    Attributes:
        event_id: of what happened.
        include: such as `api:app`.
        action: such as `update`.
        happened_at: None if Heroku does not say.
        sequence: as above.
        actor: the e-mail address of who did it, if anybody.
        changed: the names of what an update has changed; empty if Heroku does not say.
        facts: what may be kept, and read by operators.
    """

    event_id: str
    include: str
    action: str
    happened_at: datetime | None
    sequence: int | None
    actor: str | None
    changed: frozenset[str]
    facts: dict[str, Any]


def read(body: Any) -> Told | None:
    """What a delivery says; None if it is no event."""
    event_id = words(body, "id") or words(body, "webhook_metadata", "event", "id")
    kind = words(body, "resource")
    include = words(body, "webhook_metadata", "event", "include") or (f"api:{kind}" if kind else None)
    action = words(body, "action")
    if not (event_id and include and action) or len(event_id) > _LONGEST_ID:
        return None
    sequence = body.get("sequence")
    before = body.get("previous_data")
    changed = sorted(name for name in before if isinstance(name, str)) if isinstance(before, dict) else []
    names = {
        "name": ("name",),
        "plan": ("plan", "name"),
        "state": ("state",),
        "app": ("app", "name"),
        "add-on": ("addon", "name"),
        "owner": ("owner", "email"),
    }
    facts = {name: words(body, "data", *path) for name, path in names.items()}
    facts |= {f"{name} before": words(body, "previous_data", *path) for name, path in names.items()}
    actor = words(body, "actor", "email")
    return Told(
        event_id=event_id,
        include=include,
        action=action,
        happened_at=_moment(words(body, "published_at")) or _moment(words(body, "created_at")),
        sequence=sequence if type(sequence) is int and 0 <= sequence < 2**63 else None,
        actor=actor,
        changed=frozenset(changed),
        facts=readable(facts | {"changed": changed, "by": actor}),
    )


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


async def secret_of(context: Context, uuid: UUID) -> str | None:
    """What signs the webhooks about a resource; None if there is no subscription."""
    async with context.database.transaction() as session:
        resource = await session.get(Resource, uuid)
    return None if resource is None else resource.open(context.keys, "webhook_secret")


async def take(context: Context, uuid: UUID, told: Told) -> None:
    """Store an event of a resource, and have it handled unless nothing can follow from it.

    Raises:
        Gone: there never was such a resource.
    """
    now = context.clock()
    async with context.database.transaction() as session:
        resource = await session.get(Resource, uuid)
        if resource is None:
            raise Gone
        ignored = _why_ignored(context, resource, told)
        row = insert(WebhookEvent).values(
            resource_uuid=uuid,
            event_id=told.event_id,
            at=now,
            last_at=now,
            deliveries=1,
            happened_at=told.happened_at,
            sequence=told.sequence,
            include=told.include,
            action=told.action,
            facts=told.facts,
            status="ignored" if ignored else "waiting",
            outcome=ignored,
            handled_at=now if ignored else None,
        )
        once_more = {"deliveries": WebhookEvent.deliveries + 1, "last_at": now}
        stored = row.on_conflict_do_update(index_elements=["resource_uuid", "event_id"], set_=once_more)
        deliveries = await session.scalar(stored.returning(WebhookEvent.deliveries))
        if deliveries == 1 and ignored is None:
            await context.queue.enqueue(session, "handle_webhooks", uuid, at_most_one=True, priority=PRIORITY)


def _why_ignored(context: Context, resource: Resource, told: Told) -> str | None:
    """A sentence if nothing can follow from an event, else None."""
    is_update = told.action == "update"
    kept = _KEPT.get(told.include)
    reasons = {
        _ENDED: resource.is_gone,
        "It happened more than seven days ago.": (
            told.happened_at is not None and told.happened_at < context.clock() - OLDEST
        ),
        "Nothing follows from events of this kind.": told.include not in INCLUDE,
        # Under this name an add-on's own changes appear: what follows from them would never end.
        "We have caused it ourselves.": told.actor == f"{context.manifest.id}@addons.heroku.com",
        "Heroku asks to deprovision it by a request of its own.": (told.include, told.action)
        == ("api:addon", "destroy"),
        "Nothing that is kept here has changed.": (
            is_update and kept is not None and bool(told.changed) and not told.changed & kept
        ),
    }
    return next((sentence_ for sentence_, is_so in reasons.items() if is_so), None)


async def handle_webhooks(context: Context, uuid: UUID) -> None:
    """Ask Heroku how things are, for all events that wait for it; one that comes meanwhile has it asked again.

    Raises:
        Retry: Heroku cannot be asked now; the events wait.
    """
    async with context.database.transaction() as session:
        resource = await session.get_one(Resource, uuid)
        ids = (await session.scalars(select(WebhookEvent.id).where(_waiting(uuid)))).all()
    if not ids:
        return
    try:
        changes = await refresh(context, uuid)
    except (Gone, Refused, Unauthorized) as error:
        status, outcome = ("ignored", _ENDED) if resource.is_gone else ("failed", sentence(error))
    else:
        status, outcome = "handled", ". ".join([*changes, ""]).strip() or NOTHING_NEW
    async with context.database.transaction() as session:
        await _close(session, context.clock(), status, outcome, WebhookEvent.id.in_(ids), _waiting(uuid))


async def fail_waiting(context: Context, session: AsyncSession, resource: Resource, reason: str) -> None:
    """Give up what waits, when its job is given up; operators can have it handled again."""
    await _close(session, context.clock(), "failed", reason, _waiting(resource.uuid))


def _waiting(uuid: UUID) -> Any:
    return (WebhookEvent.resource_uuid == uuid) & (WebhookEvent.status == "waiting")


async def _close(session: AsyncSession, now: datetime, status: str, outcome: str, *conditions: Any) -> None:
    row = update(WebhookEvent).where(*conditions).values(status=status, outcome=outcome, handled_at=now)
    await session.execute(row)


async def handle_again(
    context: Context, uuid: UUID, ids: Sequence[int], *, actor: str, operator_id: UUID | None, reason: str | None
) -> int:
    """Have events handled once more, on an operator's word; how many.

    Raises:
        Refused: none of them is there any more.
        Gone: the resource has been deprovisioned.
    """
    async with context.database.transaction() as session:
        resource = await session.get(Resource, uuid)
        if resource is None or resource.is_gone:
            raise Gone
        rows = update(WebhookEvent).where(WebhookEvent.resource_uuid == uuid, WebhookEvent.id.in_(ids))
        changed = await session.scalars(
            rows.values(status="waiting", outcome=None, handled_at=None).returning(WebhookEvent.id)
        )
        number = len(changed.all())
        if not number:
            raise Refused("Those webhooks are not kept any more.")
        text = f"{number} webhook{'' if number == 1 else 's'} handled again"
        record(
            session, uuid, context.clock(), "webhooks_again", actor, text,
            is_for_customer=False, operator_id=operator_id, reason=reason,
        )  # fmt: skip
        await context.queue.enqueue(session, "handle_webhooks", uuid, at_most_one=True, priority=PRIORITY)
    return number


async def forget(context: Context) -> None:
    """Delete what is too old, a little at a time, and the secrets of subscriptions that ended with their resources."""
    now = context.clock()
    is_over = (WebhookEvent.at < now - IGNORED_KEPT_FOR) & (WebhookEvent.status == "ignored")
    too_old = select(WebhookEvent.id).where((WebhookEvent.at < now - KEPT_FOR) | is_over).limit(_AT_ONCE)
    deleted = 1
    while deleted:
        async with context.database.transaction() as session:
            result = await session.execute(delete(WebhookEvent).where(WebhookEvent.id.in_(too_old.scalar_subquery())))
            deleted = result.rowcount  # type: ignore[attr-defined]  # a DELETE's result is a CursorResult
    ended = (Resource.deprovisioned_at < now - TAIL) & Resource.webhook_secret_sealed.is_not(None)
    async with context.database.transaction() as session:
        await session.execute(update(Resource).where(ended).values(webhook_secret_sealed=None))
