"""How tokens come from Heroku, and how none that has come is lost.

An answer of the token endpoint may be the only one of its kind: a grant works once, and Heroku may end a refresh token
when it gives another. So whoever asks is not broken off by the end of a request or of a job, and what has come is
stored as soon as the database is there. A token that was replaced is kept until the new one has worked. What remains
is told in `docs/design.md`, "What survives what".
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import AddonError, Gone, Refused, Retry, Unauthorized
from app.heroku_answers import Tokens
from app.resources.lifecycle import HEROKU, locked, record
from app.resources.models import Resource

_log = structlog.get_logger(__name__)
_Result = TypeVar("_Result")

# A database that fails over is back within minutes.
_LONGEST_STORING: Final = timedelta(minutes=10)
_PAUSE: Final = timedelta(milliseconds=500)

# What Heroku has said no to. Anything else may be tried again just so.
REFUSALS: Final = (Unauthorized, Refused, Gone)

NEW_GRANT: Final = "grant_fetched"


async def unbroken(context: Context, key: Hashable, work: Callable[[], Awaitable[_Result]]) -> _Result:
    """Have `work` done in a task of its own, which goes on when its callers do not wait for it any more.

    Whoever comes with the same `key` while it is under way gets the same result, or the same exception.
    """
    task: asyncio.Future[_Result] | None = context.asking.get(key)
    if task is None:
        task = context.asking[key] = asyncio.ensure_future(work())
        task.add_done_callback(lambda done: _forget(context, key, done))
    return await asyncio.shield(task)


def _forget(context: Context, key: Hashable, done: "asyncio.Future[Any]") -> None:
    context.asking.pop(key, None)
    error = None if done.cancelled() else done.exception()
    if error is not None and not isinstance(error, AddonError):
        _log.error("asking Heroku for tokens failed unexpectedly", kind=type(error).__name__)


async def keep(
    context: Context,
    uuid: UUID,
    tokens: Tokens,
    *,
    used: str | None = None,
    besides: Callable[[AsyncSession, Resource], Awaitable[None]] | None = None,
) -> None:
    """Store tokens, again and again until the database is there.

    Args:
        context: as everywhere.
        uuid: of the resource.
        tokens: what Heroku has answered.
        used: the refresh token that they were given for; None for a grant.
        besides: what else is written in the same transaction.

    Raises:
        Gone: the resource has been deprovisioned; the tokens are forgotten.
        Retry: the database was away for too long.
    """
    ends = asyncio.get_running_loop().time() + _LONGEST_STORING.total_seconds()
    while True:
        try:
            async with context.database.transaction() as session:
                resource = await locked(session, uuid)
                if resource.is_gone:
                    raise Gone
                _store(context, resource, tokens, used)
                if besides is not None:
                    await besides(session, resource)
        except Retry:
            if asyncio.get_running_loop().time() > ends:
                _log.error("tokens are lost: they could not be stored", resource=str(uuid))
                raise
            _log.warning("tokens wait for the database", resource=str(uuid))
            await asyncio.sleep(_PAUSE.total_seconds())
        else:
            return


def _store(context: Context, resource: Resource, tokens: Tokens, used: str | None) -> None:
    present = resource.open(context.keys, "refresh_token")
    newest = tokens.refresh_token or used or present
    # Another process may have stored one of its own since, which then is the likelier of the two to be good.
    former = next((one for one in (present, used) if one not in {None, newest}), None)
    resource.seal(context.keys, "access_token", tokens.access_token)
    resource.seal(context.keys, "refresh_token", newest)
    resource.seal(context.keys, "former_refresh_token", former)
    now = context.clock()
    if resource.tokens_at is not None:
        context.watch.metrics.token_ages.observe((now - resource.tokens_at).total_seconds())
    resource.tokens_at, resource.tokens_refused_at, resource.unauthorized_at = now, None, None
    resource.access_token_expires_at = now + tokens.expires_in
    resource.refresh_leased_until = None


async def by_refresh_tokens(context: Context, uuid: UUID, held: Sequence[str]) -> tuple[Tokens, str | None]:
    """Tokens for the first of these refresh tokens that Heroku takes, else for a new grant; and which one it took.

    Raises:
        Unauthorized, Refused, Gone: it takes none, and gives no grant either.
        Retry: not now.
    """
    refusal: AddonError = Refused("Heroku has never authorized us for this resource")
    for refresh_token in held:
        try:
            return await context.heroku.refresh_token(refresh_token, uuid=uuid), refresh_token
        except REFUSALS as error:
            refusal = error
    tokens = await by_new_grant(context, uuid)
    if tokens is None:
        raise refusal
    return tokens, None


async def by_new_grant(context: Context, uuid: UUID) -> Tokens | None:
    """Tokens for another grant, which Heroku gives to partners whom it has allowed that; None to all others.

    Raises:
        Retry: not now.
    """
    passwords = (context.settings.addon_password, context.settings.addon_password_previous)
    for password in [one.get_secret_value() for one in passwords if one is not None]:
        try:
            code = await context.heroku.new_grant(uuid, slug=context.manifest.id, password=password)
            return await context.heroku.exchange_grant(code, uuid=uuid)
        except Unauthorized:
            continue
        except (Refused, Gone):
            return None
    return None


def note_new_grant(context: Context, session: AsyncSession, uuid: UUID) -> None:
    """Tell operators that a resource has got its tokens by another grant than its first."""
    text = "Tokens came by a new grant: what we had before was lost or not accepted"
    record(session, uuid, context.clock(), NEW_GRANT, HEROKU, text, is_for_customer=False)
