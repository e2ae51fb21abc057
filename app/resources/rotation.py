"""Rotation: new credentials are made and pushed, and the previous ones are retired after an overlap."""

from uuid import UUID

from app.context import Context
from app.errors import Gone, Refused
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


async def rotate(
    context: Context, uuid: UUID, actor: str, *, operator_id: UUID | None = None, reason: str | None = None
) -> None:
    """Have new credentials made and pushed; the present ones keep working for the overlap after that.

    Raises:
        Refused: a rotation is still under way, or the resource is not provisioned yet, or suspended.
        Gone: no such resource.
    """
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Gone
        if (why_not := why_no_rotation(resource)) is not None:
            raise Refused(why_not)
        now = context.clock()
        resource.rotation_requested_at = now
        text = "Rotation of the credentials requested"
        record(session, uuid, now, "rotation_requested", actor, text, operator_id=operator_id, reason=reason)
        await context.queue.enqueue(session, "rotate_service", uuid)


def why_no_retirement(resource: Resource) -> str | None:
    """A sentence if there is nothing to retire, else None."""
    if resource.retire_at is None:
        return "There are no previous credentials to retire at the moment."
    return None


async def retire_now(
    context: Context, uuid: UUID, actor: str, *, operator_id: UUID | None = None, reason: str | None = None
) -> None:
    """Stop the previous credentials at once instead of at the end of the overlap.

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
        resource.retire_at = now
        text = "Retirement of the previous credentials requested"
        record(session, uuid, now, "retirement_requested", actor, text, operator_id=operator_id, reason=reason)
        await context.queue.enqueue(session, "retire_service", uuid, at_most_one=True)
