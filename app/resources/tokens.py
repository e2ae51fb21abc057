"""A fresh access token for a resource, refreshed by one caller at a time.

Many may find the same token expired at once: several workers, a customer's page. One of them takes a lease on the row
and calls Heroku; the others wait for what it stores. A lease ends by itself, so a holder that dies blocks nobody long.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Gone, Refused, Retry, Unauthorized
from app.heroku import Tokens
from app.resources.lifecycle import HEROKU, PROGRAM, locked, record
from app.resources.models import Resource, State

# A token that lives shorter than this is refreshed before use: it must outlast the call that it is for.
_MARGIN: Final = timedelta(minutes=5)
# Longer than the refresh call may take (its time-outs), so that a lease never ends under a living holder.
_LEASE: Final = timedelta(seconds=30)
_GLANCE: Final = timedelta(milliseconds=50)
_GLANCES: Final = 100


async def fresh_access_token(
    context: Context, uuid: UUID, *, unlike: str | None = None, is_routine: bool = False
) -> str:
    """An access token that Heroku should accept now.

    Args:
        context: as everywhere.
        uuid: of the resource.
        unlike: a token that Heroku has just refused; it is refreshed whatever its expiry says.
        is_routine: for a look that the program takes every day: the history does not grow by its refresh.

    Raises:
        Retry: there is no token yet, or it could not be refreshed now.
        Refused: there never will be one: Heroku sent no grant, or did not accept it.
        Gone: the resource has been deprovisioned.
        Unauthorized: Heroku does not accept the refresh token.
    """
    for _ in range(_GLANCES):
        async with context.database.transaction() as session:
            resource = await locked(session, uuid)
            token = _usable_token(context, resource, unlike)
            if token is not None:
                return token
            now = context.clock()
            is_ours = resource.refresh_leased_until is None or resource.refresh_leased_until <= now
            if is_ours:
                resource.refresh_leased_until = now + _LEASE
        if is_ours:
            refresh_token = resource.open(context.keys, "refresh_token") or ""
            return await _refresh(context, uuid, refresh_token, is_routine=is_routine)
        await asyncio.sleep(_GLANCE.total_seconds())
    raise Retry("another worker is refreshing this resource's token")


async def with_token(
    context: Context, uuid: UUID, call: Callable[[str], Awaitable[None]], *, is_routine: bool = False
) -> None:
    """Call Heroku with a fresh token; if it is refused, refresh once and call once more. `is_routine` as above.

    Heroku not knowing the resource is flagged on it: operators decide, no data is lost over a mistaken 404.

    Raises:
        Unauthorized, Refused, Gone, Retry: as `fresh_access_token` and the call do.
    """
    try:
        token = await fresh_access_token(context, uuid, is_routine=is_routine)
        try:
            await call(token)
        except Unauthorized:
            await call(await fresh_access_token(context, uuid, unlike=token, is_routine=is_routine))
    except Gone as gone:
        async with context.database.transaction() as session:
            resource = await locked(session, uuid)
            if not resource.is_gone and resource.unknown_to_heroku_at is None:
                resource.unknown_to_heroku_at = context.clock()
                text = f"Heroku does not know this resource: {gone}"
                record(session, uuid, context.clock(), "unknown_to_heroku", HEROKU, text, is_for_customer=False)
        raise


def _usable_token(context: Context, resource: Resource, unlike: str | None) -> str | None:
    if resource.is_gone:
        raise Gone
    if not resource.has_tokens:
        if resource.grant_sealed is None and resource.state is State.PROVISIONED:
            raise Refused("Heroku has never authorized us for this resource")
        raise Retry("there are no tokens yet: the grant has not been exchanged")
    expires_at = resource.access_token_expires_at
    if expires_at is None or expires_at - _MARGIN <= context.clock():
        return None
    token = resource.open(context.keys, "access_token")
    return None if token == unlike else token


async def _refresh(context: Context, uuid: UUID, refresh_token: str, *, is_routine: bool) -> str:
    try:
        tokens = await context.heroku.refresh_token(refresh_token, uuid=uuid)
    except BaseException as error:
        async with context.database.transaction() as session:
            resource = await locked(session, uuid)
            resource.refresh_leased_until = None
            if isinstance(error, (Unauthorized, Refused, Gone)):
                _note_refusal(context, session, resource)
        raise
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        resource.refresh_leased_until = None
        if resource.is_gone:
            raise Gone
        store_tokens(context, resource, tokens)
        if not is_routine:
            now = context.clock()
            record(session, uuid, now, "token_refreshed", PROGRAM, "Access token refreshed", is_for_customer=False)
    return tokens.access_token


def _note_refusal(context: Context, session: AsyncSession, resource: Resource) -> None:
    """Operators see since when Heroku has taken no refresh token of this resource; it may be our client secret."""
    if resource.is_gone or resource.tokens_refused_at is not None:
        return
    now = resource.tokens_refused_at = context.clock()
    text = "Heroku did not accept the refresh token"
    record(session, resource.uuid, now, "tokens_refused", HEROKU, text, is_for_customer=False)


def store_tokens(context: Context, resource: Resource, tokens: Tokens) -> None:
    """Keep what the token endpoint answered; a new refresh token replaces the old one."""
    resource.seal(context.keys, "access_token", tokens.access_token)
    now = context.clock()
    if resource.tokens_at is not None:
        context.watch.metrics.token_ages.observe((now - resource.tokens_at).total_seconds())
    resource.tokens_at, resource.tokens_refused_at, resource.unauthorized_at = now, None, None
    resource.access_token_expires_at = now + tokens.expires_in
    if tokens.refresh_token is not None:
        resource.seal(context.keys, "refresh_token", tokens.refresh_token)
