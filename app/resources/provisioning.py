"""Provisioning a resource, or finding the one that an equal request has made, while Heroku waits for the answer."""

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import AddonError, Gone, Refused
from app.plans import Plan
from app.resources.lifecycle import (
    HEROKU,
    Answer,
    give_up_provisioning,
    locked,
    record,
    record_provisioned,
    record_service,
    refuse_withdrawn,
    request_deadline,
)
from app.resources.log_drain import token_digest
from app.resources.models import Resource, State, purpose

_log = structlog.get_logger(__name__)

# How soon a caller of a race first looks whether the one that came before has finished; then ever less often.
_FIRST_GLANCE: Final = timedelta(milliseconds=25)
_RARER: Final = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionRequest:
    """What Heroku asks for. `uuid` is the idempotency key; everything optional may be absent."""

    uuid: UUID
    name: str
    plan: str
    region: str
    options: dict[str, Any] = field(default_factory=dict)
    grant: str | None = field(default=None, repr=False)
    log_input_url: str | None = field(default=None, repr=False)
    log_drain_token: str | None = field(default=None, repr=False)


async def provision(context: Context, request: ProvisionRequest) -> Answer:
    """Make a resource, or find the one that an earlier or simultaneous request with this uuid has made.

    The primary key decides among processes. Within one, equal requests at the same time share one piece of work and its
    answer, however many they are; a caller who leaves does not stop it.

    Raises:
        Refused: no such plan, not in this region, or the driver says no.
        Gone: this uuid was deprovisioned; it is never brought back.
    """
    known, work = context.under_way.get(request.uuid, (None, None))
    if work is None or known != request:
        work = asyncio.create_task(_provision(context, request))
        work.add_done_callback(_retrieve)
        if known is None:
            context.under_way[request.uuid] = (request, work)
            work.add_done_callback(lambda _: context.under_way.pop(request.uuid))
    answer: Answer = await asyncio.shield(work)
    return answer


def _retrieve(work: "asyncio.Task[Answer]") -> None:
    """An error that no caller waited for has been seen all the same."""
    if not work.cancelled() and (error := work.exception()) is not None and not isinstance(error, AddonError):
        _log.error("provisioning failed unexpectedly", kind=type(error).__name__)


async def _provision(context: Context, request: ProvisionRequest) -> Answer:
    plan = context.plans.get(request.plan)
    if plan is None:
        raise Refused(f"There is no plan named {request.plan[:60]!r}. Please choose another plan.")
    if not context.manifest.sells_in(request.region):
        raise Refused(f"{context.manifest.name} is not available in the region of this app yet.")
    deadline = request_deadline()
    async with context.database.transaction() as session:
        is_first = await _insert(context, session, request, plan)
        resource = await locked(session, request.uuid)
        if not is_first:
            await _keep_newer_grant(context, session, resource, request.grant)
    if is_first and plan.is_instant:
        await _provision_now(context, resource, plan, deadline)
    return await _answer(context, request.uuid, deadline)


async def _insert(context: Context, session: AsyncSession, request: ProvisionRequest, plan: Plan) -> bool:
    """Whether this call made the row. The primary key decides among simultaneous ones."""
    now = context.clock()

    def sealed(value: str | None, secret: Any) -> bytes | None:
        return None if value is None else context.keys.seal(value, purpose(secret, request.uuid))

    inserted = await session.scalar(
        insert(Resource)
        .values(
            uuid=request.uuid,
            name=request.name,
            plan=request.plan,
            region=request.region,
            options=request.options,
            state=State.PROVISIONING,
            created_at=now,
            unsettled_since=now if plan.is_instant else None,
            seed_sealed=sealed(secrets.token_hex(32), "seed"),
            grant_sealed=sealed(request.grant, "grant"),
            grant_received_at=now if request.grant else None,
            log_input_url_sealed=sealed(request.log_input_url, "log_input_url"),
            log_drain_token_sealed=sealed(request.log_drain_token, "log_drain_token"),
            log_drain_digest=token_digest(request.log_drain_token) if request.log_drain_token else None,
        )
        .on_conflict_do_nothing()
        .returning(Resource.uuid)
    )
    if inserted is None:
        return False
    if plan.is_withdrawn:
        raise Refused(f"The plan {plan.name} is no longer sold. Please choose another plan.")
    await refuse_withdrawn(session, plan.name)
    record(session, request.uuid, now, "requested", HEROKU, f"Install requested with the {plan.name} plan")
    if request.grant:
        await context.queue.enqueue(session, "exchange_grant", request.uuid)
    if not plan.is_instant:
        await context.queue.enqueue(session, "provision_service", request.uuid)
    return True


async def _keep_newer_grant(context: Context, session: AsyncSession, resource: Resource, grant: str | None) -> None:
    """A repeated request may bring a fresh grant: worth keeping while there are no tokens yet."""
    if grant is None or resource.is_gone or resource.has_tokens or resource.open(context.keys, "grant") == grant:
        return
    resource.seal(context.keys, "grant", grant)
    resource.grant_received_at = context.clock()
    # Ahead of what already waits for these tokens.
    await context.queue.enqueue(session, "exchange_grant", resource.uuid, priority=1)


async def _provision_now(context: Context, resource: Resource, plan: Plan, deadline: float) -> None:
    wanted = resource.info(context.keys)
    try:
        async with asyncio.timeout_at(deadline):
            with context.watch.driver_call(plan.name, "provision"):
                provisioned = await plan.driver.provision(wanted)
    except Refused as refused:
        async with context.database.transaction() as session:
            resource = await locked(session, resource.uuid)
            await give_up_provisioning(context, session, resource, refused.message)
    except Exception as error:  # noqa: BLE001 - whatever it was, the background tries again
        _log.warning("an instant plan goes on in the background", resource=str(resource.uuid), reason=repr(error))
        async with context.database.transaction() as session:
            resource = await locked(session, resource.uuid)
            resource.unsettled_since = None
            await context.queue.enqueue(
                session, "deprovision_service" if resource.is_gone else "provision_service", resource.uuid
            )
    else:
        async with context.database.transaction() as session:
            resource = await locked(session, resource.uuid)
            if await record_service(context, session, resource, provisioned, wanted):
                # Heroku takes the config from the answer to its request.
                resource.pushed_version = resource.config_version
            if not resource.is_gone:
                await record_provisioned(context, session, resource, provisioned.message)


async def _answer(context: Context, uuid: UUID, deadline: float) -> Answer:
    """What every caller with this uuid is told, rendered from the row alone; waits for one who works on it now."""
    pause = _FIRST_GLANCE.total_seconds()
    while True:
        async with context.database.transaction() as session:
            resource = await session.get_one(Resource, uuid)
        is_being_made = resource.state is State.PROVISIONING and resource.unsettled_since is not None
        if not is_being_made or asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(pause)
        pause *= _RARER
    if resource.refusal is not None:
        raise Refused(resource.refusal)
    if resource.is_gone:
        raise Gone
    if resource.state is State.PROVISIONING:
        return Answer(uuid=uuid, message="Your add-on is being provisioned.")
    return Answer(uuid=uuid, config=resource.config(context.keys), message=resource.message)
