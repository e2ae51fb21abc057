"""What Heroku tells about a resource: whose app pays for it, which apps use it. Kept on the row, to be found by."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from app.context import Context
from app.errors import AddonError, Gone, Refused, Unauthorized
from app.heroku_answers import AddonInfo, Attachment
from app.resources.lifecycle import HEROKU, locked, record
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


async def refresh(context: Context, uuid: UUID) -> list[str]:
    """Ask Heroku and keep the answers; a sentence about each thing that has changed since the last time.

    Two may ask at once. The answers to the question that was asked first are not kept after those to the other: what
    was asked later is as new or newer.

    Raises:
        Unauthorized, Refused, Gone, Retry: as `with_token` does; what was kept before stays.
    """
    asked_at = context.clock()
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
        if resource.app_read_at is not None and resource.app_read_at > asked_at:
            return []
        changes = list(_changes(resource, told["addon"], told["attachments"], told["owner"]))
        for kind, text in changes:
            record(session, uuid, context.clock(), kind, HEROKU, text, is_for_customer=False)
        _keep(resource, told["addon"], told["attachments"], told["owner"])
        resource.app_read_at = asked_at
        return [text for _, text in changes]


def _changes(
    resource: Resource, addon: AddonInfo, attachments: Sequence[Attachment], owner: str | None
) -> Iterator[tuple[str, str]]:
    """What is other than it was, as kinds of events and sentences; nothing when Heroku is asked for the first time."""
    before = resource.heroku_facts
    if addon.name is not None and addon.name != resource.name:
        yield "addon_renamed", f"The add-on was renamed from {resource.name} to {addon.name}"
    if before is None:
        return
    if addon.app_name is not None and addon.app_name != resource.app_name:
        is_other = before.get("app_id") not in {None, str(addon.app_id)}
        verb = "The add-on was moved from the app" if is_other else "The app was renamed from"
        yield "app_renamed", f"{verb} {resource.app_name or 'unknown'} to {addon.app_name}"
    if owner is not None and owner != resource.owner_email:
        yield "app_transferred", f"The app went from {resource.owner_email or 'an unknown owner'} to {owner}"
    if addon.plan not in {None, before.get("plan"), resource.plan}:
        yield "plan_differs", f"At Heroku it is on the plan {addon.plan}, here on {resource.plan}"
    yield from _moves(before, attachments)


def _moves(before: Mapping[str, Any], attachments: Sequence[Attachment]) -> Iterator[tuple[str, str]]:
    """Attachments come and go by their ids: their apps may be renamed, and they themselves."""
    known = dict(zip(before.get("attachment_ids") or [], before.get("attachments") or [], strict=False))
    if not known:
        return
    for one in attachments:
        if one.id not in known:
            yield "attached", f"Attached to {one.app} as {one.name}"
        elif one.name != known[one.id][1]:
            yield "attachment_renamed", f"On {one.app} the attachment {known[one.id][1]} became {one.name}"
    there = {one.id for one in attachments}
    for id_, (app, name) in known.items():
        if id_ not in there:
            yield "detached", f"Detached from {app}, where it was {name}"


def _keep(resource: Resource, addon: AddonInfo, attachments: Sequence[Attachment], owner: str | None) -> None:
    resource.name = addon.name or resource.name
    resource.app_name, resource.owner_email = addon.app_name, owner
    resource.heroku_facts = {
        "state": addon.state,
        "plan": addon.plan,
        "app_id": None if addon.app_id is None else str(addon.app_id),
        "attachments": [(one.app, one.name) for one in attachments],
        "attachment_ids": [one.id for one in attachments],
    }


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
        return sentence(error)
    return None


def sentence(error: AddonError) -> str:
    """Why Heroku could not be asked, for operators."""
    match error:
        case Unauthorized():
            return "Heroku does not accept our token for this resource."
        case Gone():
            return "Heroku says that it does not know this resource."
        case Refused():
            return f"{error.message.rstrip('.')}."
        case _:
            return "Heroku could not be asked just now."


def _forget(context: Context, uuid: UUID, done: "asyncio.Task[Any]") -> None:
    context.being_read.pop(uuid, None)
    if not done.cancelled() and (error := done.exception()) is not None and not isinstance(error, AddonError):
        _log.error("reading what Heroku tells failed unexpectedly", kind=type(error).__name__)
