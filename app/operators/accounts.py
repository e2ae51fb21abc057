"""Accounts of operators: made, changed and disabled by owners or on the command line."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused
from app.operators import passwords
from app.operators.models import Operator, OperatorSession
from app.operators.roles import Actor, Role
from app.resources.lifecycle import record

_LONGEST_EMAIL: Final = 254


def clean_email(text: str) -> str:
    """The address in lower case.

    Raises:
        Refused: it is none.
    """
    email = text.strip().lower()
    name, _, host = email.rpartition("@")
    if not name or not host or len(email) > _LONGEST_EMAIL or not email.isprintable() or " " in email:
        raise Refused("That is not an e-mail address.")
    return email


async def add(context: Context, actor: Actor, *, email: str, name: str, role: Role, password: str | None) -> Operator:
    """A new operator. Without a password they come in by OpenID Connect only.

    Raises:
        Refused: the actor is no owner, the address is no address or taken, the password is too short.
    """
    actor.need(Role.OWNER)
    email = clean_email(email)
    password_hash = None if password is None else await passwords.hashed(password)
    now = context.clock()
    async with context.database.transaction() as session:
        if await session.scalar(select(Operator.id).where(Operator.email == email)):
            raise Refused(f"There is an operator {email} already.")
        operator = Operator(
            id=uuid4(),
            email=email,
            name=name.strip()[:100] or email,
            role_number=role,
            created_at=now,
            password_hash=password_hash,
            password_set_at=now if password_hash else None,
            recovery_digests=[],
        )
        session.add(operator)
        _record(context, session, actor, "operator_added", f"Operator {email} added as {role.word}")
    return operator


async def change_role(context: Context, actor: Actor, operator_id: UUID, role: Role) -> None:
    """Let an operator do more, or less.

    Raises:
        Refused: the actor is no owner, or nobody would be left who is.
    """
    actor.need(Role.OWNER)
    async with context.database.transaction() as session:
        operator = await _locked(session, operator_id)
        if role < Role.OWNER:
            await _keep_an_owner(session, operator)
        operator.role_number = role
        _record(context, session, actor, "operator_role_changed", f"Operator {operator.email} is {role.word} now")


async def disable(context: Context, actor: Actor, operator_id: UUID) -> None:
    """End an account and all its sessions; the history keeps its name.

    Raises:
        Refused: the actor is no owner, or nobody would be left who is.
    """
    actor.need(Role.OWNER)
    async with context.database.transaction() as session:
        operator = await _locked(session, operator_id)
        await _keep_an_owner(session, operator)
        if operator.disabled_at is None:
            operator.disabled_at = context.clock()
            await end_sessions(context, session, operator_id)
            _record(context, session, actor, "operator_disabled", f"Operator {operator.email} disabled")


async def enable(context: Context, actor: Actor, operator_id: UUID) -> None:
    """Let a disabled operator in again.

    Raises:
        Refused: the actor is no owner.
    """
    actor.need(Role.OWNER)
    async with context.database.transaction() as session:
        operator = await _locked(session, operator_id)
        if operator.disabled_at is not None:
            operator.disabled_at = None
            _record(context, session, actor, "operator_enabled", f"Operator {operator.email} enabled again")


async def set_password(context: Context, actor: Actor, operator_id: UUID, password: str) -> None:
    """A new password; every session of the account ends.

    Raises:
        Refused: it is another's account and the actor is no owner; the password is too short.
    """
    if actor.operator_id != operator_id:
        actor.need(Role.OWNER)
    password_hash = await passwords.hashed(password)
    async with context.database.transaction() as session:
        operator = await _locked(session, operator_id)
        operator.password_hash, operator.password_set_at = password_hash, context.clock()
        await end_sessions(context, session, operator_id)
        _record(context, session, actor, "operator_password_set", f"Password of {operator.email} set")


async def set_time_zone(context: Context, operator_id: UUID, time_zone: str) -> None:
    """Show times to this operator as a clock there does.

    Raises:
        Refused: there is no such zone.
    """
    try:
        ZoneInfo(time_zone)
    except (OSError, ValueError):
        raise Refused("There is no such time zone. Choose a name such as Europe/Berlin.") from None
    async with context.database.transaction() as session:
        (await _locked(session, operator_id)).time_zone = time_zone


async def find(session: AsyncSession, email: str) -> Operator | None:
    """The operator with this address."""
    return await session.scalar(select(Operator).where(Operator.email == email.strip().lower()))


async def end_sessions(context: Context, session: AsyncSession, operator_id: UUID) -> None:
    """Let every browser of an operator sign in anew."""
    await session.execute(
        update(OperatorSession)
        .where(OperatorSession.operator_id == operator_id, OperatorSession.revoked_at.is_(None))
        .values(revoked_at=context.clock())
    )


async def _locked(session: AsyncSession, operator_id: UUID) -> Operator:
    operator = await session.get(Operator, operator_id, with_for_update=True)
    if operator is None:
        raise Refused("There is no such operator.")
    return operator


async def _keep_an_owner(session: AsyncSession, operator: Operator) -> None:
    """The accounts of all owners are locked: two who take the role from each other at once do not both succeed."""
    query = select(Operator.id).where(Operator.role_number == Role.OWNER, Operator.disabled_at.is_(None))
    owners = set(await session.scalars(query.with_for_update()))
    if owners == {operator.id}:
        raise Refused("This is the last owner. Make somebody else an owner first.")


def _record(context: Context, session: AsyncSession, actor: Actor, kind: str, text: str) -> None:
    record(session, None, context.clock(), kind, actor.name, text, operator_id=actor.operator_id)


async def everybody(context: Context) -> Sequence[Operator]:
    """Every operator, disabled ones too, by address."""
    async with context.database.transaction() as session:
        return (await session.scalars(select(Operator).order_by(Operator.email))).all()
