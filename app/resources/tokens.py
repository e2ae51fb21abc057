"""A fresh access token for a resource, refreshed by one caller at a time.

Many may find the same token expired at once: several workers, a customer's page. Within a process they share one look.
Of the processes one takes a lease on the row and calls Heroku; the others wait for what it stores. A lease ends by
itself, so a holder that dies blocks nobody long.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Gone, Retry, Unauthorized
from app.resources.authorization import REFUSALS, by_refresh_tokens, keep, note_new_grant, unbroken
from app.resources.lifecycle import HEROKU, PROGRAM, locked, record
from app.resources.models import Resource, State

_log = structlog.get_logger(__name__)

# A token that lives shorter than this is refreshed before use: it must outlast the call that it is for.
_MARGIN: Final = timedelta(minutes=5)
# Longer than a call of Heroku may take (its time-outs); refusals come at once. Should a lease end under a living holder
# all the same, two refresh: what the later one stores is good, or else what it replaced.
_LEASE: Final = timedelta(seconds=30)
_GLANCE: Final = timedelta(milliseconds=100)
_GLANCES: Final = 50


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
        Refused: there is no way to one: Heroku sent no grant or did not accept it, and gives no other.
        Gone: the resource has been deprovisioned.
        Unauthorized: Heroku does not accept the refresh token.
    """
    key = ("access token", uuid, unlike)
    return await unbroken(context, key, lambda: _fresh_access_token(context, uuid, unlike, is_routine=is_routine))


async def _fresh_access_token(context: Context, uuid: UUID, unlike: str | None, *, is_routine: bool) -> str:
    for _ in range(_GLANCES):
        # Without a lock at first: whoever waits must not be in the way of whoever stores.
        async with context.database.transaction() as session:
            resource = await session.get(Resource, uuid)
        token = _usable_token(context, resource, unlike)
        if token is not None:
            return token
        lease = await _take_lease(context, uuid, unlike)
        if lease is not None:
            return await _refresh(context, lease, is_routine=is_routine)
        await asyncio.sleep(_GLANCE.total_seconds())
    raise Retry("another worker is refreshing this resource's token")


@dataclass(frozen=True, slots=True)
class _Lease:
    """The right to refresh. `is_first`: nobody has died with it before; `held` are refresh tokens, newest first."""

    uuid: UUID
    is_first: bool
    held: Sequence[str] = field(repr=False)


async def _take_lease(context: Context, uuid: UUID, unlike: str | None) -> _Lease | None:
    """None if somebody else has it, or has just done the work."""
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        now, until = context.clock(), resource.refresh_leased_until
        if (until is not None and until > now) or _usable_token(context, resource, unlike) is not None:
            return None
        resource.refresh_leased_until = now + _LEASE
        held = (resource.open(context.keys, "refresh_token"), resource.open(context.keys, "former_refresh_token"))
    return _Lease(uuid, until is None, [token for token in held if token is not None])


async def with_token(
    context: Context,
    uuid: UUID,
    call: Callable[[str], Awaitable[None]],
    *,
    seen: Resource | None = None,
    is_routine: bool = False,
) -> None:
    """Call Heroku with a fresh token; if it is refused, refresh once and call once more.

    Heroku not knowing the resource is flagged on it: operators decide, no data is lost over a mistaken 404.

    Args:
        context: as everywhere.
        uuid: of the resource.
        call: with a token.
        seen: the row as it was a moment ago, which need not be read again then.
        is_routine: as above.

    Raises:
        Unauthorized, Refused, Gone, Retry: as `fresh_access_token` and the call do.
    """
    try:
        token = None if seen is None else _usable_token(context, seen, None)
        if token is None:
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


def _usable_token(context: Context, resource: Resource | None, unlike: str | None) -> str | None:
    if resource is None or resource.is_gone:
        raise Gone
    if not resource.has_tokens and (resource.grant_sealed is not None or resource.state is not State.PROVISIONED):
        raise Retry("there are no tokens yet: the grant has not been exchanged")
    expires_at = resource.access_token_expires_at
    if expires_at is None or expires_at - _MARGIN <= context.clock():
        return None
    token = resource.open(context.keys, "access_token")
    return None if token == unlike else token


async def _refresh(context: Context, lease: _Lease, *, is_routine: bool) -> str:
    uuid = lease.uuid
    if not lease.is_first:
        _log.warning("a process has died while it refreshed this token", resource=str(uuid))
    try:
        tokens, used = await by_refresh_tokens(context, uuid, lease.held)
    except BaseException as error:
        async with context.database.transaction() as session:
            resource = await locked(session, uuid)
            resource.refresh_leased_until = None
            if isinstance(error, REFUSALS) and lease.held:
                _note_refusal(context, session, resource, is_first=lease.is_first)
        raise

    async def note(session: AsyncSession, _: Resource) -> None:
        if used is None:
            note_new_grant(context, session, uuid)
        elif not is_routine:
            now = context.clock()
            record(session, uuid, now, "token_refreshed", PROGRAM, "Access token refreshed", is_for_customer=False)

    await keep(context, uuid, tokens, used=used, besides=note)
    return tokens.access_token


def _note_refusal(context: Context, session: AsyncSession, resource: Resource, *, is_first: bool) -> None:
    """Operators see since when Heroku has taken no refresh token of this resource; it may be our client secret."""
    if resource.is_gone or resource.tokens_refused_at is not None:
        return
    now = resource.tokens_refused_at = context.clock()
    text = "Heroku did not accept the refresh token"
    if not is_first:
        text += ". A process had died while it refreshed it: what Heroku gave it then is probably lost"
    record(session, resource.uuid, now, "tokens_refused", HEROKU, text, is_for_customer=False)
