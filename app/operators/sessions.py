"""Signing in as an operator, and the session that comes of it.

The browser carries a random token; we keep its digest. A session ends after twelve hours, after two idle ones, when it
is revoked, or with its account.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog
from sqlalchemy import delete, func, select, text

from app.context import Context
from app.errors import Refused, Unauthorized
from app.operators import accounts, passwords
from app.operators.models import FailedSignIn, Operator, OperatorSession
from app.operators.roles import Actor, Role
from app.resources.lifecycle import record

_log = structlog.get_logger(__name__)

LIFE: Final = timedelta(hours=12)
IDLE: Final = timedelta(hours=2)
# How many failures for one account, and from one address, are waited for before a pause.
MOST_FOR_ACCOUNT: Final = 5
MOST_FROM_ADDRESS: Final = 20
PAUSE: Final = timedelta(minutes=15)
# The same words whatever was wrong.
WRONG: Final = "The e-mail address or the password is wrong."
# `seen_at` is written no more often than this.
_SEEN_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """Where a sign-in comes from."""

    address: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInOperator:
    """An operator and the session, as both were when the request came."""

    operator: Operator
    session: OperatorSession

    @property
    def actor(self) -> Actor:
        """Who acts."""
        return Actor(name=self.operator.email, role=self.operator.role, operator_id=self.operator.id)


async def prove_password(context: Context, email: str, password: str, browser: Browser) -> Operator:
    """The operator whose password this is. Nothing begins yet: a second proof may be needed.

    Raises:
        Refused: it is wrong, or there were too many wrong ones lately.
    """
    email = email.strip().lower()[:254]
    await count_attempt(context, email, browser)
    async with context.database.transaction() as session:
        operator = await accounts.find(session, email)
    is_right = await passwords.matches(password, operator.password_hash if operator else None)
    if operator is None or not is_right or operator.disabled_at is not None:
        _log.warning("operator sign-in failed", address=browser.address)
        raise Refused(WRONG)
    if operator.password_hash is not None and passwords.is_outdated(operator.password_hash):
        newer = await passwords.hashed(password)
        async with context.database.transaction() as session:
            (await session.get_one(Operator, operator.id)).password_hash = newer
    return operator


async def begin(context: Context, operator: Operator, browser: Browser, method: str) -> str:
    """A session for an operator whose every proof is there; the token for the browser's cookie."""
    token, now = secrets.token_urlsafe(32), context.clock()
    async with context.database.transaction() as session:
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
        await session.execute(delete(FailedSignIn).where(FailedSignIn.email == operator.email))
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


def is_alive(context: Context, session: OperatorSession) -> bool:
    """Whether it still lets its browser in."""
    now = context.clock()
    return session.revoked_at is None and now < session.created_at + LIFE and now < session.seen_at + IDLE


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


async def count_attempt(context: Context, email: str, browser: Browser) -> None:
    """Note that somebody tries; it counts as failed until `begin` forgets it, so that many at once are counted too.

    Raises:
        Refused: there were too many for this account, or from this address for any account.
    """
    now = context.clock()
    async with context.database.transaction() as session:
        await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('operator sign-in'))"))
        await session.execute(delete(FailedSignIn).where(FailedSignIn.at < now - PAUSE))
        for column, value, most in (
            (FailedSignIn.email, email, MOST_FOR_ACCOUNT),
            (FailedSignIn.address, browser.address, MOST_FROM_ADDRESS),
        ):
            number = await session.scalar(select(func.count()).select_from(FailedSignIn).where(column == value))
            if (number or 0) >= most:
                _log.warning("too many failed operator sign-ins", address=browser.address)
                minutes = PAUSE // timedelta(minutes=1)
                raise Refused(f"There were too many failed sign-ins. Please wait {minutes} minutes and try again.")
        session.add(FailedSignIn(at=now, email=email, address=browser.address))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
