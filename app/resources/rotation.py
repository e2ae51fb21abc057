"""Rotation: new credentials are made and pushed, and the previous ones are retired after an overlap.

Who asks for it is a customer, an operator, or the schedule of a plan (`operations/scheduled_rotation.py`). When the
previous ones really stop is decided in `retirement.py`.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Gone, Refused
from app.plans import Plan
from app.resources.lifecycle import locked, record
from app.resources.models import Resource, State
from app.resources.suspension import SUSPENDED


def why_no_rotation(resource: Resource) -> str | None:
    """A sentence if credentials cannot be rotated now, else None."""
    if resource.state is not State.PROVISIONED:
        return "The add-on is still being provisioned. Please try again when it is ready."
    if resource.suspended_at is not None:
        return SUSPENDED
    if not resource.has_tokens and resource.grant_sealed is None:
        return "Heroku does not let us change this add-on's config vars. Please contact support."
    if resource.is_rotating:
        return "A rotation is still under way. The previous credentials have to be retired first."
    return None


def next_rotation_at(plan: Plan | None, resource: Resource) -> datetime | None:
    """When the schedule of its plan has the credentials rotated: then or soon after. None without a schedule."""
    if plan is None or plan.rotate_every is None or resource.credentials_at is None:
        return None
    return resource.credentials_at + plan.rotate_every if resource.state is State.PROVISIONED else None


def why_no_scheduled_rotation(resource: Resource) -> str | None:
    """A sentence if the schedule of its plan passes over a resource now, else None."""
    if resource.tokens_refused_at is not None:
        return "Heroku does not accept its tokens, so its apps could not get new credentials."
    if resource.unknown_to_heroku_at is not None:
        return "Heroku says that it does not know this resource."
    if resource.config_differs_at is not None:
        return "Heroku has config vars that were never ours: they may be newer than what we would make."
    return why_no_rotation(resource)


async def rotate(
    context: Context,
    uuid: UUID,
    actor: str,
    *,
    operator_id: UUID | None = None,
    reason: str | None = None,
    is_scheduled: bool = False,
) -> None:
    """Have new credentials made and pushed; the present ones keep working for the overlap after that.

    Raises:
        Refused: a rotation is still under way, or the resource is not provisioned yet, or suspended; and what else
            keeps the schedule of a plan (`is_scheduled`) from it.
        Gone: no such resource.
    """
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        request(context, session, resource, actor, operator_id=operator_id, reason=reason, is_scheduled=is_scheduled)
        await context.queue.enqueue(session, "rotate_service", uuid)


def request(
    context: Context,
    session: AsyncSession,
    resource: Resource,
    actor: str,
    *,
    operator_id: UUID | None = None,
    reason: str | None = None,
    is_scheduled: bool = False,
) -> None:
    """The same for a row that is locked; the caller enqueues `rotate_service`.

    Raises:
        Refused, Gone: as above; nothing is changed.
    """
    if resource.is_gone:
        raise Gone
    why_not = why_no_scheduled_rotation(resource) if is_scheduled else why_no_rotation(resource)
    if why_not is not None:
        raise Refused(why_not)
    now = context.clock()
    resource.rotation_requested_at = now
    text = "Rotation of the credentials " + ("begun by the schedule of the plan" if is_scheduled else "requested")
    record(session, resource.uuid, now, "rotation_requested", actor, text, operator_id=operator_id, reason=reason)


def why_no_retirement(resource: Resource) -> str | None:
    """A sentence if there is nothing to retire, else None."""
    if resource.retire_at is None:
        return "There are no previous credentials to retire at the moment."
    return None


async def retire_now(
    context: Context, uuid: UUID, actor: str, *, operator_id: UUID | None = None, reason: str | None = None
) -> None:
    """Stop the previous credentials at once: without the rest of the overlap, and whoever still uses them.

    Raises:
        Refused: there are none that could be retired now.
        Gone: no such resource.
    """
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Gone
        if (why_not := why_no_retirement(resource)) is not None:
            raise Refused(why_not)
        now = context.clock()
        resource.retire_at = resource.retirement_asked_at = now
        text = "Retirement of the previous credentials requested"
        record(session, uuid, now, "retirement_requested", actor, text, operator_id=operator_id, reason=reason)
        await context.queue.enqueue(session, "retire_service", uuid, at_most_one=True)
