"""Accounts of operators: made, changed and disabled by owners or on the command line."""

from collections.abc import Sequence
from functools import cache
from typing import Final
from uuid import UUID, uuid4
from zoneinfo import available_timezones

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as insert_row
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Refused
from app.operators import attempts, passwords, sessions
from app.operators.models import Operator
from app.operators.roles import Actor, Role
from app.resources.lifecycle import record

_LONGEST_EMAIL: Final = 254
_LONGEST_NAME: Final = 100
_LONGEST_REASON: Final = 500


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


def one_line(text: str, longest: int) -> str:
    """What somebody typed, without control codes and line ends."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:longest]


async def add(
    context: Context,
    actor: Actor,
    *,
    email: str,
    name: str,
    role: Role,
    password: str | None,
    is_temporary: bool = False,
    reason: str | None = None,
) -> Operator:
    """A new operator. Without a password they come in by OpenID Connect only; a temporary one must be changed first.

    Raises:
        Refused: the actor is no owner, the address is no address or taken, the password is too short.
    """
    actor.need(Role.OWNER)
    email = clean_email(email)
    password_hash = None if password is None else await passwords.hashed(password)
    async with context.database.transaction() as session:
        operator = await insert(context, session, email=email, name=name, role=role)
        if password_hash is not None:
            operator.password_hash, operator.password_set_at = password_hash, context.clock()
            operator.is_password_temporary = is_temporary
        note(context, session, actor, "operator_added", f"Operator {email} added as {role.word}", reason)
    return operator


async def insert(context: Context, session: AsyncSession, *, email: str, name: str, role: Role) -> Operator:
    """The row of a new operator, who cannot sign in yet.

    Raises:
        Refused: there is one with this address.
    """
    values = {
        "id": uuid4(),
        "email": email,
        "name": one_line(name, _LONGEST_NAME) or email,
        "role_number": role,
        "created_at": context.clock(),
    }
    # Two who add the same address at once: the unique address decides.
    query = insert_row(Operator).values(values).on_conflict_do_nothing().returning(Operator)
    operator = await session.scalar(query)
    if operator is None:
        raise Refused(f"There is an operator {email} already.")
    return operator


async def change_role(
    context: Context, actor: Actor, operator_id: UUID, role: Role, *, reason: str | None = None
) -> None:
    """Let an operator do more, or less, from their next click on.

    Raises:
        Refused: the actor is no owner, or nobody would be left who is.
    """
    actor.need(Role.OWNER)
    async with context.database.transaction() as session:
        operator = await (locked if role is Role.OWNER else _locked_if_not_last_owner)(session, operator_id)
        if operator.role is not role:
            line = f"Operator {operator.email} is {role.word} now, was {operator.role.word}"
            operator.role_number = role
            note(context, session, actor, "operator_role_changed", line, reason)


async def disable(context: Context, actor: Actor, operator_id: UUID, *, reason: str | None = None) -> None:
    """End an account and all its sessions; the history keeps its name.

    Raises:
        Refused: the actor is no owner, or nobody would be left who is.
    """
    actor.need(Role.OWNER)
    async with context.database.transaction() as session:
        operator = await _locked_if_not_last_owner(session, operator_id)
        if operator.disabled_at is None:
            operator.disabled_at = context.clock()
            await sessions.end_all(context, session, operator_id)
            note(context, session, actor, "operator_disabled", f"Operator {operator.email} disabled", reason)


async def enable(context: Context, actor: Actor, operator_id: UUID, *, reason: str | None = None) -> None:
    """Let a disabled operator in again.

    Raises:
        Refused: the actor is no owner.
    """
    actor.need(Role.OWNER)
    async with context.database.transaction() as session:
        operator = await locked(session, operator_id)
        if operator.disabled_at is not None:
            operator.disabled_at = None
            note(context, session, actor, "operator_enabled", f"Operator {operator.email} enabled again", reason)


async def set_password(
    context: Context,
    actor: Actor,
    operator_id: UUID,
    password: str,
    *,
    keep: UUID | None = None,
    is_temporary: bool = False,
    reason: str | None = None,
) -> None:
    """A new password. Every session of the account but `keep` ends, and what was counted against it is forgotten.

    Raises:
        Refused: it is another's account and the actor is no owner; the password is too short.
    """
    if actor.operator_id != operator_id:
        actor.need(Role.OWNER)
    password_hash = await passwords.hashed(password)
    async with context.database.transaction() as session:
        operator = await locked(session, operator_id)
        operator.password_hash, operator.password_set_at = password_hash, context.clock()
        operator.is_password_temporary = is_temporary
        await sessions.end_all(context, session, operator_id, keep=keep)
        await attempts.forget(session, operator.email)
        line = f"{'One-time password' if is_temporary else 'Password'} of {operator.email} set"
        note(context, session, actor, "operator_password_set", line, reason)


async def rehash(context: Context, operator: Operator, password: str) -> None:
    """Store the same password by today's parameters, unless somebody has set another one meanwhile."""
    newer = await passwords.hashed(password)
    unchanged = (Operator.id == operator.id, Operator.password_hash == operator.password_hash)
    async with context.database.transaction() as session:
        await session.execute(update(Operator).where(*unchanged).values(password_hash=newer))


async def set_profile(context: Context, actor: Actor, *, name: str, time_zone: str) -> None:
    """What one is called, and where the clock hangs that one's pages tell the time by.

    Raises:
        Refused: there is no such zone.
    """
    if time_zone not in time_zones():
        raise Refused("There is no such time zone. Choose a name such as Europe/Berlin.")
    if actor.operator_id is None:
        raise Refused("Only an operator has a profile.")
    async with context.database.transaction() as session:
        operator = await locked(session, actor.operator_id)
        name = one_line(name, _LONGEST_NAME) or operator.email
        if operator.name != name:
            operator.name = name
            note(context, session, actor, "operator_renamed", f"Operator {operator.email} is called {name} now")
        operator.time_zone = time_zone


@cache
def time_zones() -> frozenset[str]:
    """The names of all zones."""
    return frozenset(available_timezones())


async def find(session: AsyncSession, email: str) -> Operator | None:
    """The operator with this address."""
    return await session.scalar(select(Operator).where(Operator.email == email.strip().lower()))


async def get(context: Context, operator_id: UUID) -> Operator | None:
    """The operator with this id."""
    async with context.database.transaction() as session:
        return await session.get(Operator, operator_id)


async def everybody(context: Context) -> Sequence[Operator]:
    """Every operator, disabled ones too, by address."""
    async with context.database.transaction() as session:
        return (await session.scalars(select(Operator).order_by(Operator.email))).all()


async def is_anybody(context: Context) -> bool:
    """Whether there is an operator at all."""
    async with context.database.transaction() as session:
        return await session.scalar(select(Operator.id).limit(1)) is not None


async def locked(session: AsyncSession, operator_id: UUID) -> Operator:
    """The operator, whom nobody else changes until the transaction ends.

    Raises:
        Refused: there is no such operator.
    """
    operator = await session.get(Operator, operator_id, with_for_update=True)
    if operator is None:
        raise Refused("There is no such operator.")
    return operator


def note(
    context: Context, session: AsyncSession, actor: Actor, kind: str, text: str, reason: str | None = None
) -> None:
    """A line of the history about an account."""
    why = one_line(reason or "", _LONGEST_REASON) or None
    record(session, None, context.clock(), kind, actor.name, text, operator_id=actor.operator_id, reason=why)


async def _locked_if_not_last_owner(session: AsyncSession, operator_id: UUID) -> Operator:
    """The operator and all owners, locked in one order: two who take the role from each other at once do not both
    succeed.

    Raises:
        Refused: there is no such operator, or nobody would be left who is an owner.
    """
    query = select(Operator.id).where(Operator.role_number == Role.OWNER, Operator.disabled_at.is_(None))
    owners = set(await session.scalars(query.order_by(Operator.id).with_for_update()))
    operator = await locked(session, operator_id)
    if owners == {operator_id}:
        raise Refused("This is the last owner. Make somebody else an owner first.")
    return operator
