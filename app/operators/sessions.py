"""Operators' sessions in the panel.

The browser carries a random token; we keep its digest. A session ends after twelve hours, after two idle ones, when it
is revoked, or with its account.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused, Unauthorized
from app.operators import attempts
from app.operators.attempts import Browser
from app.operators.models import Operator, OperatorSession
from app.operators.roles import Actor, Role
from app.resources.lifecycle import record

LIFE: Final = timedelta(hours=12)
IDLE: Final = timedelta(hours=2)
# How long one that is over can still be seen in the list of an account.
_KEPT: Final = timedelta(days=30)
# `seen_at` is written no more often than this.
_SEEN_EVERY: Final = timedelta(minutes=1)
CHANGED: Final = "The account was changed while you signed in. Please sign in again."


class Method(StrEnum):
    """How an operator has proved who they are."""

    PASSWORD = "password"  # noqa: S105 - the word itself # nosec B105
    PASSWORD_AND_CODE = "password and code"  # noqa: S105 - as above # nosec B105
    OPEN_ID = "OpenID Connect"


class Due(StrEnum):
    """What an operator has to do before anything else."""

    PASSWORD = "password"  # noqa: S105 - the word itself # nosec B105
    SECOND_FACTOR = "second factor"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInOperator:
    """An operator and the session, as both were when the request came."""

    operator: Operator
    session: OperatorSession

    @property
    def actor(self) -> Actor:
        """Who acts."""
        return Actor(name=self.operator.email, role=self.operator.role, operator_id=self.operator.id)


async def begin(context: Context, operator: Operator, browser: Browser, method: Method, *, before: str = "") -> str:
    """A session for an operator whose every proof is there; the token for the browser's cookie.

    Args:
        context: of this process.
        operator: who it is.
        browser: where it is.
        method: how it was proved.
        before: the token that the browser carried until now; what it opened is closed.

    Raises:
        Refused: since the proof the account was disabled, or has got another password.
    """
    token, now = secrets.token_urlsafe(32), context.clock()
    async with context.database.transaction() as session:
        # Whoever disables the account or sets a password ends its sessions: none may begin beside that.
        account = await session.get_one(Operator, operator.id, with_for_update={"read": True})
        is_same = method is Method.OPEN_ID or account.password_set_at == operator.password_set_at
        if account.disabled_at is not None or not is_same:
            raise Refused(CHANGED)
        await session.execute(
            update(OperatorSession)
            .where(OperatorSession.token_digest == _digest(before), OperatorSession.revoked_at.is_(None))
            .values(revoked_at=now)
        )
        await session.execute(
            delete(OperatorSession).where(
                OperatorSession.operator_id == operator.id, OperatorSession.seen_at < now - _KEPT
            )
        )
        session.add(
            OperatorSession(
                id=uuid4(),
                operator_id=operator.id,
                token_digest=_digest(token),
                created_at=now,
                seen_at=now,
                method=method,
                address=browser.address,
                browser=browser.name[:300],
            )
        )
        await attempts.forget(session, operator.email)
        line = f"Signed in to the panel with {method} from {browser.address}"
        record(session, None, now, "operator_signed_in", operator.email, line, operator_id=operator.id)
    return token


async def resume(context: Context, token: str) -> SignedInOperator:
    """The operator who carries this token.

    Raises:
        Unauthorized: nobody does any more.
    """
    now = context.clock()
    async with context.database.transaction() as session:
        found = await session.execute(
            select(OperatorSession, Operator)
            .join(Operator, Operator.id == OperatorSession.operator_id)
            .where(OperatorSession.token_digest == _digest(token))
        )
        row = found.one_or_none()
        if row is None or not is_alive(context, row[0]) or row[1].disabled_at is not None:
            raise Unauthorized("admin: no session")
        if now - row[0].seen_at >= _SEEN_EVERY:
            row[0].seen_at = now
    return SignedInOperator(operator=row[1], session=row[0])


def due(context: Context, who: SignedInOperator) -> Due | None:
    """What they have to do before anything else; an OpenID provider has its own second factor."""
    if who.session.method == Method.OPEN_ID:
        return None
    if who.operator.is_password_temporary:
        return Due.PASSWORD
    if context.settings.operators_need_totp and who.operator.totp_confirmed_at is None:
        return Due.SECOND_FACTOR
    return None


def is_alive(context: Context, session: OperatorSession) -> bool:
    """Whether it still lets its browser in."""
    now = context.clock()
    return session.revoked_at is None and now < session.created_at + LIFE and now < session.seen_at + IDLE


async def alive(context: Context, operator_id: UUID) -> Sequence[OperatorSession]:
    """An operator's sessions that still let somebody in, the one seen last first."""
    query = select(OperatorSession).where(
        OperatorSession.operator_id == operator_id, OperatorSession.revoked_at.is_(None)
    )
    async with context.database.transaction() as session:
        rows = (await session.scalars(query.order_by(OperatorSession.seen_at.desc(), OperatorSession.id))).all()
    return [row for row in rows if is_alive(context, row)]


async def last_seen(context: Context) -> Mapping[UUID, datetime]:
    """When each operator used the panel last, within the time that sessions are kept."""
    query = select(OperatorSession.operator_id, func.max(OperatorSession.seen_at)).group_by(OperatorSession.operator_id)
    async with context.database.transaction() as session:
        return dict((await session.execute(query)).all())


async def revoke(context: Context, actor: Actor, session_id: UUID) -> None:
    """End a session: one's own, or anybody's if the actor is an owner. Twice is fine.

    Raises:
        Refused: it is another's, and the actor is no owner.
    """
    async with context.database.transaction() as session:
        row = await session.get(OperatorSession, session_id, with_for_update=True)
        if row is None:
            raise Refused("There is no such session.")
        if row.operator_id != actor.operator_id:
            actor.need(Role.OWNER)
        if row.revoked_at is None:
            row.revoked_at = context.clock()
            email = (await session.get_one(Operator, row.operator_id)).email
            line = f"Session of {email} ended"
            record(session, None, row.revoked_at, "session_ended", actor.name, line, operator_id=actor.operator_id)


async def revoke_all(context: Context, actor: Actor, operator_id: UUID, *, keep: UUID | None = None) -> None:
    """End every session of an operator, all but `keep`.

    Raises:
        Refused: they are another's, and the actor is no owner; there is no such operator.
    """
    if operator_id != actor.operator_id:
        actor.need(Role.OWNER)
    async with context.database.transaction() as session:
        operator = await session.get(Operator, operator_id)
        if operator is None:
            raise Refused("There is no such operator.")
        if await end_all(context, session, operator_id, keep=keep):
            line = f"{'All other sessions' if keep else 'All sessions'} of {operator.email} ended"
            record(session, None, context.clock(), "session_ended", actor.name, line, operator_id=actor.operator_id)


async def end_all(context: Context, session: AsyncSession, operator_id: UUID, *, keep: UUID | None = None) -> int:
    """Let every browser of an operator but the one with the session `keep` sign in anew; how many those are."""
    query = update(OperatorSession).where(
        OperatorSession.operator_id == operator_id, OperatorSession.revoked_at.is_(None)
    )
    if keep is not None:
        query = query.where(OperatorSession.id != keep)
    ended = await session.execute(query.values(revoked_at=context.clock()).returning(OperatorSession.id))
    return len(ended.all())


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
