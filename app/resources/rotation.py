"""Rotation: new credentials are made and pushed, and the previous ones are retired after an overlap."""

from uuid import UUID

from app.context import Context
from app.errors import Gone, Refused
from app.resources.lifecycle import locked, record
from app.resources.models import State


async def rotate(context: Context, uuid: UUID, actor: str) -> None:
    """Have new credentials made and pushed; the present ones keep working for the overlap after that.

    Raises:
        Refused: a rotation is still under way, or the resource is not provisioned yet.
        Gone: no such resource.
    """
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Gone
        if resource.state is not State.PROVISIONED:
            raise Refused("The add-on is still being provisioned. Please try again when it is ready.")
        if not resource.has_tokens and resource.grant_sealed is None:
            raise Refused("Heroku does not let us change this add-on's config vars. Please contact support.")
        if resource.is_rotating:
            raise Refused("A rotation is still under way. The previous credentials have to be retired first.")
        now = context.clock()
        resource.rotation_requested_at = now
        record(session, uuid, now, "rotation_requested", actor, "Rotation of the credentials requested")
        await context.queue.enqueue(session, "rotate_service", uuid)


async def retire_now(context: Context, uuid: UUID, actor: str) -> None:
    """Stop the previous credentials at once instead of at the end of the overlap.

    Raises:
        Refused: there are none that could be retired now.
        Gone: no such resource.
    """
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Gone
        if resource.retire_at is None:
            raise Refused("There are no previous credentials to retire at the moment.")
        now = context.clock()
        resource.retire_at = now
        record(session, uuid, now, "retirement_requested", actor, "Retirement of the previous credentials requested")
        await context.queue.enqueue(session, "retire_service", uuid, at_most_one=True)
