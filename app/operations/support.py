"""Support visits: an operator sees a customer's dashboard, for a while and for a reason, and the customer sees that."""

import hashlib
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Gone, Refused
from app.operations.action import Order, clean_reason
from app.operators import sessions
from app.operators.models import Operator, OperatorSession
from app.operators.roles import Role
from app.resources.lifecycle import locked, record
from app.resources.models import Resource
from app.resources.traces import SignIn

LENGTH: Final = timedelta(minutes=30)


def why_no_visit(resource: Resource) -> str | None:
    """A sentence if there is no dashboard to look at, else None."""
    return "It has been deprovisioned: there is no dashboard any more." if resource.is_gone else None


async def visit(context: Context, uuid: UUID, order: Order, session_id: UUID) -> SignIn:
    """Let an operator look at the dashboard of a resource as its customer sees it.

    Args:
        context: as everywhere.
        uuid: of the resource.
        order: who looks, and why; `actor.operator_id` is set.
        session_id: the session in the panel that the visit ends with.

    Raises:
        Refused: the role is too low, the reason is missing, or there is no dashboard.
    """
    order.actor.need(Role.SUPPORT)
    order = Order(actor=order.actor, reason=clean_reason(order.reason))
    id_, now = uuid4(), context.clock()
    async with context.database.transaction() as session:
        try:
            resource = await locked(session, uuid)
        except Gone:
            raise Refused("There is no such resource.") from None
        if (why_not := why_no_visit(resource)) is not None:
            raise Refused(why_not)
        sign_in = SignIn(
            id=id_,
            resource_uuid=uuid,
            form_digest=hashlib.sha256(id_.bytes).digest(),  # of no form: nothing that Heroku signs has this digest
            at=now,
            email="",
            user_id="",
            is_user_proven=False,
            support_operator=order.actor.name,
            support_ends_at=now + LENGTH,
            support_session_id=session_id,
        )
        session.add(sign_in)
        record(session, uuid, now, "support_came", text="Dashboard opened by support", **order.signature)
    return sign_in


async def is_over(context: Context, session: AsyncSession, sign_in: SignIn) -> bool:
    """Whether a visit has ended: by time, with the session in the panel, with the account, or with the role."""
    if sign_in.support_ends_at is None or context.clock() >= sign_in.support_ends_at:
        return True
    found = await session.execute(
        select(OperatorSession, Operator)
        .join(Operator, Operator.id == OperatorSession.operator_id)
        .where(OperatorSession.id == sign_in.support_session_id)
    )
    row = found.one_or_none()
    if row is None:
        return True
    return not sessions.is_alive(context, row[0]) or row[1].disabled_at is not None or row[1].role < Role.SUPPORT


async def leave(context: Context, sign_in: SignIn) -> None:
    """End a visit before its time. Twice is fine."""
    async with context.database.transaction() as session:
        row = await session.get_one(SignIn, sign_in.id, with_for_update=True)
        if row.signed_out_at is None:
            now = row.signed_out_at = context.clock()
            operator = (await session.get_one(OperatorSession, row.support_session_id)).operator_id
            actor, text = row.support_operator or "", "Dashboard closed by support"
            record(session, row.resource_uuid, now, "support_left", actor, text, operator_id=operator)
