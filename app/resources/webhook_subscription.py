"""Our subscription to Heroku's webhooks: one for each resource, mended when it is missing, gone with the resource.

https://devcenter.heroku.com/articles/addon-webhooks. The secret that signs them is ours, of this resource alone, and is
stored before Heroku gets it: whatever is lost in between, the next look finds the subscription by its address and gives
it that secret. Nothing waits for any of this, so a look that fails is simply made again an hour later.
"""

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, select

from app.context import Context
from app.errors import AddonError, Gone
from app.heroku_answers import Subscription
from app.resources.app_facts import sentence
from app.resources.lifecycle import PROGRAM, locked, record
from app.resources.models import Resource, State
from app.resources.tokens import with_token

_log = structlog.get_logger(__name__)

# What a partner may include without asking Heroku first, as far as anything follows from it here.
INCLUDE: Final = frozenset({"api:addon", "api:addon-attachment", "api:app"})
# Heroku tries again for 72 hours. https://devcenter.heroku.com/changelog-items/2525
_LEVEL: Final = "sync"
PATH: Final = "/heroku/webhooks"
LOOKED_AT_EVERY: Final = timedelta(days=1)
TRIED_AGAIN_AFTER: Final = timedelta(hours=1)
# How many looks a minute: when subscriptions are turned on for many resources, that must not be all that we do.
A_ROUND: Final = 100
_PRIORITY: Final = -2


async def enqueue_looks(context: Context) -> None:
    """A look at every subscription that is due, and at every resource that never had one."""
    uuids = await _find(context, Resource.webhook_due_at <= context.clock(), A_ROUND)
    if context.settings.heroku_webhooks:
        uuids += await _find(context, Resource.webhook_due_at.is_(None), A_ROUND - len(uuids))
    for uuid in uuids:
        async with context.database.transaction() as session:
            await context.queue.enqueue(session, "keep_webhook", uuid, at_most_one=True, priority=_PRIORITY)


async def _find(context: Context, condition: ColumnElement[bool], most: int) -> list[UUID]:
    alive = (Resource.state == State.PROVISIONED) & Resource.refresh_token_sealed.is_not(None)
    async with context.database.transaction() as session:
        return list(await session.scalars(select(Resource.uuid).where(alive, condition).limit(most)))


async def keep_webhook(context: Context, uuid: UUID) -> None:
    """Have Heroku's list say what it should: one subscription, or none if HEROKU_WEBHOOKS is off."""
    try:
        await _keep(context, uuid)
    except AddonError as error:
        _log.info("the subscription to webhooks waits", kind=type(error).__name__, reason=str(error))
        async with context.database.transaction() as session:
            resource = await locked(session, uuid)
            if not resource.is_gone:
                resource.webhook_error = sentence(error)
                resource.webhook_due_at = context.clock() + TRIED_AGAIN_AFTER


async def _keep(context: Context, uuid: UUID) -> None:
    is_wanted = context.settings.heroku_webhooks
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Gone
        if is_wanted and resource.webhook_secret_sealed is None:
            resource.seal(context.keys, "webhook_secret", secrets.token_urlsafe(32))
        secret = resource.open(context.keys, "webhook_secret") or ""
        known = resource.webhook_id
    wanted = Subscription(url=f"{context.settings.public_url}{PATH}/{uuid}", include=INCLUDE, level=_LEVEL)
    kept: UUID | None = None

    async def settle(token: str) -> None:
        nonlocal kept
        kept = await _settle(context, uuid, token, wanted, known, secret)

    await with_token(context, uuid, settle)
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Gone
        now = context.clock()
        if kept != known:
            record(session, uuid, now, *_news(known, kept), is_for_customer=False)
            if kept is not None:  # of what happened before, nobody will tell us
                await context.queue.enqueue(session, "read_app", uuid, at_most_one=True, priority=_PRIORITY)
        resource.webhook_id, resource.webhook_error = kept, None
        resource.webhook_due_at = now + LOOKED_AT_EVERY if is_wanted else None
        if not is_wanted:
            resource.seal(context.keys, "webhook_secret", None)


async def _settle(
    context: Context, uuid: UUID, token: str, wanted: Subscription, known: UUID | None, secret: str
) -> UUID | None:
    """Have Heroku's list say what it should; the id of what is there then."""
    listed = await context.heroku.subscriptions(uuid, token)
    ours = {one.id: one for one in listed if one.id and (one.id == known or one.url == wanted.url)}
    best = known if known in ours else next(iter(ours), None)
    is_wanted = context.settings.heroku_webhooks
    for id_ in ours:
        if not is_wanted or id_ != best:
            await context.heroku.unsubscribe(uuid, token, id_)
    if not is_wanted:
        return None
    if best is not None and best == known and ours[best] == wanted:
        return best
    return await context.heroku.subscribe(uuid, token, replace(wanted, id=best), secret)


def _news(before: UUID | None, now: UUID | None) -> tuple[str, str, str]:
    """Kind, actor and text of the event."""
    if now is None:
        return "webhook_unsubscribed", PROGRAM, "The subscription to Heroku's webhooks was ended"
    if before is None:
        return "webhook_subscribed", PROGRAM, "Subscribed to Heroku's webhooks"
    return "webhook_subscribed", PROGRAM, "The subscription to Heroku's webhooks was missing and was made again"
