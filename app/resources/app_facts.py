"""What Heroku tells about a resource: whose app pays for it, which apps use it. Kept on the row, to be found by."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from app.context import Context
from app.errors import AddonError, Gone, Refused, Unauthorized
from app.resources.lifecycle import locked
from app.resources.models import Resource
from app.resources.tokens import with_token

_log = structlog.get_logger(__name__)

STALE_AFTER: Final = timedelta(minutes=10)
# A page with older facts is better than none.
PATIENCE: Final = timedelta(seconds=2)


async def read_app(context: Context, uuid: UUID) -> None:
    """Read the facts, or leave it: nothing depends on them, and what comes after this in the queue must not wait."""
    try:
        await refresh(context, uuid)
    except AddonError as error:
        _log.info("Heroku did not tell about the app", kind=type(error).__name__, reason=str(error))


async def refresh(context: Context, uuid: UUID) -> None:
    """Ask Heroku and keep the answers.

    Raises:
        Unauthorized, Refused, Gone, Retry: as `with_token` does; what was kept before stays.
    """
    told: dict[str, Any] = {}

    async def ask(token: str) -> None:
        addon = await context.heroku.addon(uuid, token)
        attachments = await context.heroku.attachments(uuid, token)
        owner = None
        if addon.app_id is not None:
            with suppress(Gone, Refused):  # an app that we may not look at does not make the rest unknown
                owner = await context.heroku.app_owner(addon.app_id, uuid, token)
        told.update(addon=addon, attachments=attachments, owner=owner)

    await with_token(context, uuid, ask)
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Gone
        addon = told["addon"]
        resource.app_name, resource.owner_email = addon.app_name, told["owner"]
        resource.heroku_facts = {"state": addon.state, "plan": addon.plan, "attachments": told["attachments"]}
        resource.app_read_at = context.clock()


async def look(context: Context, resource: Resource) -> str | None:
    """Bring the facts up to date for a page, if they are old; a sentence if that was not to be had now.

    Whoever looks at the same resource at the same time waits for the same answers. What is not there in time goes on in
    the background: a refresh of tokens must not be broken off.
    """
    is_fresh = resource.app_read_at is not None and context.clock() < resource.app_read_at + STALE_AFTER
    if resource.is_gone or is_fresh:
        return None
    if not resource.has_tokens:
        return "We have no tokens to ask Heroku with."
    task = context.being_read.get(resource.uuid)
    if task is None:
        task = context.being_read[resource.uuid] = asyncio.create_task(refresh(context, resource.uuid))
        task.add_done_callback(lambda done: _forget(context, resource.uuid, done))
    await asyncio.wait({task}, timeout=PATIENCE.total_seconds())
    if not task.done():
        return "Heroku takes its time to answer."
    try:
        await task
    except AddonError as error:
        return _sentence(error)
    return None


def _sentence(error: AddonError) -> str:
    match error:
        case Unauthorized():
            return "Heroku does not accept our token for this resource."
        case Gone():
            return "Heroku says that it does not know this resource."
        case Refused():
            return f"{error.message.rstrip('.')}."
        case _:
            return "Heroku could not be asked just now."


def _forget(context: Context, uuid: UUID, done: "asyncio.Task[None]") -> None:
    context.being_read.pop(uuid, None)
    if not done.cancelled() and (error := done.exception()) is not None and not isinstance(error, AddonError):
        _log.error("reading what Heroku tells failed unexpectedly", kind=type(error).__name__)
