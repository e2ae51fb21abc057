"""What has to be done after our database was restored from a backup, before any other process runs.

The backup knows nothing of what happened since. Whatever it would go on with by itself, and could be wrong about, is
stopped here; what Heroku knows better is found by the comparison that is asked for, and mended on an operator's word.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Text, cast, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import job_queue
from app.context import Context
from app.errors import Refused
from app.operations import reconciliation
from app.operations.action import Order, clean_reason
from app.operations.models import Batch, BatchState, Reconciliation
from app.operators.models import OperatorSession
from app.operators.roles import Role
from app.resources.jobs import GRANT_LIFE
from app.resources.lifecycle import PROGRAM, record
from app.resources.models import Resource, State
from app.resources.traces import SignIn

# Jobs that give Heroku or the service what the row says: at Heroku there may be something newer.
_OVERWRITING: Final = ("push_config", "settle", "rotate_service")
# So that operators can look before what was kept goes; who was given more time since the backup keeps some.
_LEAST_KEPT: Final = timedelta(days=7)
_LEFT_ALONE: Final = "It was being provisioned when the backup was made, and its authorization has run out since."


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What was stopped, and the comparison that was asked for.

    Attributes:
        jobs: waiting jobs that were dropped.
        batches: that were paused.
        sessions: of operators and customers that were ended.
        kept: services whose removal was put off.
        left_alone: resources that ended here without their service being touched.
        reconciliation_id: of the comparison, which a worker begins when it runs.
    """

    jobs: int
    batches: int
    sessions: int
    kept: int
    left_alone: int
    reconciliation_id: UUID


async def after_restore(context: Context, order: Order) -> Stopped:
    """Stop what a restored database would go on with, and ask for a comparison with Heroku's list.

    Raises:
        Refused: the role is too low, the reason is missing, or a worker runs.
    """
    order.actor.need(Role.OWNER)
    order = Order(actor=order.actor, reason=clean_reason(order.reason))
    now = context.clock()
    async with context.database.transaction() as session:
        if await job_queue.is_worked_on(session):
            raise Refused("A worker is running. Stop every process first, then do this, then start them.")
        living = Resource.state == State.PROVISIONED
        jobs = await job_queue.forget_work(session, _OVERWRITING, select(cast(Resource.uuid, Text)).where(living))
        # Nor may a schedule make credentials that Heroku, perhaps, has had for long: it counts from here.
        afresh = {"rotation_requested_at": None, "config_due_at": now, "credentials_at": now}
        await session.execute(update(Resource).where(living).values(afresh))
        kept = update(Resource).where(Resource.kept_until < now + _LEAST_KEPT).values(kept_until=now + _LEAST_KEPT)
        paused = (
            update(Batch)
            .where(Batch.state == BatchState.RUNNING)
            .values(state=BatchState.PAUSED, note="The database was restored: resume what is still wanted.")
        )
        ours = update(OperatorSession).where(OperatorSession.revoked_at.is_(None)).values(revoked_at=now)
        customers = update(SignIn).where(SignIn.signed_out_at.is_(None), SignIn.at > now - timedelta(days=1))
        numbers = [
            len((await session.scalars(statement.returning(key))).all())
            for statement, key in (
                (kept, Resource.uuid),
                (paused, Batch.id),
                (ours, OperatorSession.id),
                (customers.values(signed_out_at=now), SignIn.id),
            )
        ]
        is_hopeless = (
            Resource.state == State.PROVISIONING,
            Resource.refresh_token_sealed.is_(None),
            or_(Resource.grant_received_at.is_(None), Resource.grant_received_at < now - GRANT_LIFE),
        )
        hopeless = (await session.scalars(select(Resource).where(*is_hopeless).with_for_update())).all()
        for resource in hopeless:
            await _leave_alone(context, session, resource, now)
        begun = update(Reconciliation).where(Reconciliation.ended_at.is_(None))
        await session.execute(begun.values(ended_at=now, error="The database was restored before it came to its end."))
        words = "The database was restored from a backup"
        record(session, None, now, "database_restored", text=words, **order.signature)
    id_ = await reconciliation.ask(context, order.actor)
    return Stopped(
        jobs=jobs,
        kept=numbers[0],
        batches=numbers[1],
        sessions=numbers[2] + numbers[3],
        left_alone=len(hopeless),
        reconciliation_id=id_,
    )


async def _leave_alone(context: Context, session: AsyncSession, resource: Resource, now: datetime) -> None:
    """End it here, but not its service: by now a customer may use that. What Heroku has of it, the comparison finds."""
    resource.state, resource.deprovisioned_at, resource.refusal = State.DEPROVISIONED, now, _LEFT_ALONE
    resource.unsettled_since = resource.config_due_at = None
    resource.seal(context.keys, "grant", None)
    await context.queue.cancel(session, resource.uuid)
    words = "Ended here after a restore of the database; its service was left alone"
    record(session, resource.uuid, now, "deprovisioned", PROGRAM, words, is_for_customer=False)
