"""Whose account it is that an OpenID provider vouches for."""

from uuid import UUID

import structlog
from sqlalchemy import select

from app.context import Context
from app.errors import Refused
from app.oidc import Identity
from app.operators import accounts
from app.operators.models import Operator
from app.operators.roles import Actor, Role

_log = structlog.get_logger(__name__)


async def operator_of(context: Context, identity: Identity) -> Operator:
    """The operator with this identity.

    An account is found by the provider's own name for the person. The first time, which is the only time that an
    e-mail address counts, it is found by the address that the provider has verified; later that may change, or be
    given to somebody else, and opens nothing.

    Raises:
        Refused: there is no such account and none may be made, it is disabled, or it belongs to another identity.
    """
    async with context.database.transaction() as session:
        operator = await session.scalar(
            select(Operator).where(Operator.oidc_subject == identity.subject).with_for_update()
        )
        if operator is None:
            if identity.email is None:
                raise Refused("Your OpenID provider has not verified your e-mail address, so we cannot go by it.")
            email = accounts.clean_email(identity.email)
            operator = await session.scalar(select(Operator).where(Operator.email == email).with_for_update())
            role_name = context.settings.oidc_role_for_new
            if operator is None:
                if role_name is None:
                    _log.warning("OpenID sign-in without an account")
                    raise Refused(f"There is no operator {email} here. Ask an owner to add you.")
                role = Role[role_name.upper()]
                operator = await accounts.insert(context, session, email=email, name=identity.name, role=role)
                line = f"Operator {email} added as {role.word}, by OpenID Connect"
                accounts.note(context, session, _oneself(operator), "operator_added", line)
            if operator.oidc_subject is not None:
                _log.warning("OpenID sign-in as somebody else's account")
                raise Refused(f"The account {email} belongs to another identity at your OpenID provider. Ask an owner.")
            if operator.disabled_at is None:
                operator.oidc_subject = identity.subject
                line = f"Operator {email} comes in by OpenID Connect from now on"
                accounts.note(context, session, _oneself(operator), "operator_bound", line)
        if operator.disabled_at is not None:
            raise Refused("Your account is disabled. Ask an owner.")
    return operator


def _oneself(operator: Operator) -> Actor:
    return Actor(name=operator.email, role=operator.role, operator_id=operator.id)


async def unbind(context: Context, actor: Actor, operator_id: UUID, *, reason: str | None = None) -> None:
    """Forget which identity an account belongs to: the next one with its verified address gets it.

    Raises:
        Refused: the actor is no owner, or there is no such operator.
    """
    actor.need(Role.OWNER)
    async with context.database.transaction() as session:
        operator = await accounts.locked(session, operator_id)
        if operator.oidc_subject is not None:
            operator.oidc_subject = None
            line = f"Operator {operator.email} is no longer bound to an OpenID identity"
            accounts.note(context, session, actor, "operator_unbound", line, reason)
