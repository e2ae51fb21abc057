"""The rules of a resource's life: how it ends, and what every change of a resource goes through.

The other verbs are beside it: `provisioning.py`, `plan_change.py`, `rotation.py`. Plain values in, plain values out;
none of them knows HTTP or calls Heroku. Slow work is enqueued by name in the same transaction as the change that needs
it. A driver is called only where Heroku waits for its answer (an instant plan, a plan change), with no transaction open
and within `REQUEST_BUDGET`.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.drivers.base import Provisioned, ResourceInfo
from app.errors import Gone, Refused
from app.resources.config_values import note_change
from app.resources.models import Resource, Secret, State
from app.resources.traces import Event, PlanWithdrawal, WebhookEvent

# Heroku wants an answer within three seconds. Two of them are for the driver and for what comes before it; the rest is
# for writing down how far it came.
REQUEST_BUDGET: Final = timedelta(seconds=2)

HEROKU: Final = "Heroku"
PROGRAM: Final = "the program"

# What Heroku gave us for the life of the resource.
_HEROKUS: Final[Sequence[Secret]] = (
    "grant",
    "access_token",
    "refresh_token",
    "former_refresh_token",
    "log_input_url",
    "log_drain_token",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Heroku is told. Without `config` the work goes on in the background."""

    uuid: UUID
    config: dict[str, str] | None = field(default=None, repr=False)
    message: str | None = None


def request_deadline() -> float:
    """When a request that begins now has to be done with its driver, by the event loop's clock."""
    return asyncio.get_running_loop().time() + REQUEST_BUDGET.total_seconds()


async def deprovision(context: Context, uuid: UUID) -> None:
    """End a resource's life, at whatever point it is. The row stays as a tombstone.

    Raises:
        Gone: it was never here, or has been deprovisioned before.
    """
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Gone
        await end_life(context, session, resource, HEROKU, "Removed by the customer")


async def end_life(
    context: Context,
    session: AsyncSession,
    resource: Resource,
    actor: str,
    text: str,
    *,
    operator_id: UUID | None = None,
    reason: str | None = None,
) -> None:
    """Turn the row into a tombstone and have what was made removed, after its grace if there is one (see `removal.py`);
    nothing else that was queued runs any more.
    """
    now = context.clock()
    resource.kept_until = _kept_until(context, resource, now)
    resource.suspended_at = resource.suspension_waits_since = None
    resource.config_due_at = resource.config_differs_at = None
    resource.state = State.DEPROVISIONED
    resource.deprovisioned_at = now
    resource.rotation_requested_at = resource.rotated_at = resource.retire_at = resource.retirement_asked_at = None
    resource.retirement_waits_for = resource.retirement_waits_since = None
    for secret in _HEROKUS:
        resource.seal(context.keys, secret, None)
    resource.log_drain_digest = None
    # The webhooks' secret stays for a while: Heroku tells of the end, too, and tries for days if it is not believed.
    resource.webhook_due_at = None
    await session.execute(
        update(WebhookEvent)
        .where(WebhookEvent.resource_uuid == resource.uuid, WebhookEvent.status == "waiting")
        .values(status="ignored", outcome="The resource was deprovisioned before.", handled_at=now)
    )
    record(
        session,
        resource.uuid,
        now,
        "deprovisioned",
        actor,
        text,
        operator_id=operator_id,
        reason=reason,
        plan_before=resource.plan if resource.provisioned_at is not None else None,
    )
    await context.queue.cancel(session, resource.uuid)
    await context.queue.enqueue(session, "deprovision_service", resource.uuid)


def _kept_until(context: Context, resource: Resource, now: datetime) -> datetime | None:
    """How long the service is kept: only one that somebody could use, and that its driver can put out of reach."""
    grace, plan = context.settings.deprovision_grace, context.plans.get(resource.plan)
    is_worth_it = resource.state is State.PROVISIONED and plan is not None and plan.driver.can_set_aside
    return now + grace if is_worth_it and grace else None


async def give_up_provisioning(context: Context, session: AsyncSession, resource: Resource, reason: str) -> None:
    """A resource that cannot be made: keep the reason for repeated requests, and end it.

    Args:
        context: as everywhere.
        session: its transaction.
        resource: locked, and still provisioning; anything else is left alone.
        reason: a sentence for the customer.
    """
    if resource.state is not State.PROVISIONING:
        return
    resource.refusal = reason
    resource.unsettled_since = None
    await end_life(context, session, resource, PROGRAM, f"Could not be provisioned: {reason}")
    context.watch.provisioning_given_up(resource.plan)


async def end_in_background(context: Context, session: AsyncSession, uuid: UUID) -> None:
    """Have Heroku told that a resource cannot be made, and end it then; its `refusal` says why.

    A job that runs at this moment cannot be dropped. It may go back to waiting, again and again, and would keep
    everything after it from its turn: hence the priority.
    """
    await context.queue.cancel(session, uuid)
    await context.queue.enqueue(session, "report_failure", uuid, priority=1)


async def locked(session: AsyncSession, uuid: UUID) -> Resource:
    """The resource, its row locked until the transaction ends: whoever changes a resource goes through here.

    Raises:
        Gone: there never was one.
    """
    # Its key never changes: events, sign-ins and items of batches that name it may be written meanwhile.
    query = select(Resource).where(Resource.uuid == uuid).with_for_update(key_share=True)
    resource = await session.scalar(query)
    if resource is None:
        raise Gone
    return resource


async def record_service(
    context: Context, session: AsyncSession, resource: Resource, provisioned: Provisioned, wanted: ResourceInfo
) -> bool:
    """Store what a driver has made of what was `wanted`; whether its config differs from the one before.

    A resource that was deprovisioned while its driver worked gets its removal once more instead: what the driver has
    just made must not stay behind. And a config with older credentials than the row's (a rotation overtook the driver)
    is dropped: it must not come back.
    """
    resource.unsettled_since = None
    if resource.is_gone:
        await context.queue.enqueue(session, "deprovision_service", resource.uuid)
        return False
    resource.service_plan = wanted.plan
    if wanted.generation < resource.generation:
        await context.queue.enqueue(session, "settle", resource.uuid, at_most_one=True)
        return False
    if resource.suspended_at is not None:  # whoever was suspended while the driver worked may have been let in by it
        resource.suspension_waits_since = resource.suspension_waits_since or context.clock()
        await context.queue.enqueue(session, "suspend_service", resource.uuid, at_most_one=True, priority=1)
    before = resource.config(context.keys) if resource.config_version > 0 else None
    store_made(context, resource, provisioned)
    if before == dict(provisioned.config):
        return False
    resource.config_version += 1
    resource.config_changed_at = context.clock()
    return True


def store_made(context: Context, resource: Resource, provisioned: Provisioned) -> None:
    """Keep config and details, sealed."""
    check_declared(context, provisioned)
    note_change(context.keys, resource, dict(provisioned.config), context.clock())
    resource.seal(context.keys, "details", json.dumps(dict(provisioned.details)) if provisioned.details else None)
    resource.seal(context.keys, "config", json.dumps(dict(provisioned.config)))


def check_declared(context: Context, provisioned: Provisioned) -> None:
    """Let no driver return config vars that Heroku does not know of.

    Raises:
        ValueError: one does: a bug of it, or of the manifest.
    """
    undeclared = set(provisioned.config) - set(context.manifest.api.config_vars)
    if undeclared:
        raise ValueError(f"the driver returned config vars that the manifest does not list: {sorted(undeclared)}")


async def record_provisioned(context: Context, session: AsyncSession, resource: Resource, message: str | None) -> None:
    """The resource is ready and Heroku knows it, or is about to be told in this very answer."""
    now = context.clock()
    resource.state = State.PROVISIONED
    resource.provisioned_at = resource.credentials_at = now
    resource.message = message
    context.watch.provisioned(resource.plan, (now - resource.created_at).total_seconds())
    text = f"Ready on the {resource.plan} plan"
    await tell(context, session, resource.uuid, now, "provisioned", PROGRAM, text, plan_after=resource.plan)
    if context.plans[resource.plan].driver.can_tell_usage:
        await measure_soon(context, session, resource.uuid)


async def measure_soon(context: Context, session: AsyncSession, uuid: UUID) -> None:
    """Have the dashboard show readings that match a new resource or a new plan, without waiting for the next round."""
    await context.queue.enqueue(session, "measure_usage", uuid, at_most_one=True, priority=-1)


async def refuse_withdrawn(session: AsyncSession, plan: str) -> None:
    """Let nobody have a plan who does not have it, once operators have withdrawn it from sale.

    Raises:
        Refused: with the operators' sentence.
    """
    sentence = await session.scalar(select(PlanWithdrawal.sentence).where(PlanWithdrawal.plan == plan))
    if sentence is not None:
        raise Refused(sentence)


async def tell(
    context: Context, session: AsyncSession, uuid: UUID, at: datetime, kind: str, actor: str, text: str, **more: Any
) -> None:
    """Add a line to the history as `record` does, and have customers read it in their app's log as well."""
    record(session, uuid, at, kind, actor, text, **more)
    await context.app_log.add(session, uuid, text)


def record(
    session: AsyncSession,
    uuid: UUID | None,
    at: datetime,
    kind: str,
    actor: str,
    text: str,
    *,
    is_for_customer: bool = True,
    operator_id: UUID | None = None,
    reason: str | None = None,
    plan_before: str | None = None,
    plan_after: str | None = None,
) -> None:
    """Add a line to the history; `text` is a sentence for people and holds no secret.

    Without a `uuid` it is about the program as a whole. `operator_id` and `reason` are set for what operators do, the
    plans when it changes which one a provisioned resource is on.
    """
    session.add(
        Event(
            resource_uuid=uuid,
            at=at,
            kind=kind,
            actor=actor,
            text=text,
            is_for_customer=is_for_customer and uuid is not None,
            operator_id=operator_id,
            reason=reason,
            plan_before=plan_before,
            plan_after=plan_after,
        )
    )
