"""Provisioning a resource, or finding the one that an equal request has made, while Heroku waits for the answer."""

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.drivers.base import OwnTable, ResourceInfo
from app.errors import AddonError, Gone, Refused
from app.gathering import Gathering
from app.plans import Plan
from app.resources import made_at_once, newcomers
from app.resources.lifecycle import (
    Answer,
    give_up_provisioning,
    locked,
    record_provisioned,
    record_service,
    request_deadline,
)
from app.resources.log_drain import token_digest
from app.resources.models import Resource, Secret, State, purpose
from app.resources.newcomers import Known
from app.telemetry import tracing

_log = structlog.get_logger(__name__)

# How soon a caller of a race first looks whether the one that came before has finished; then ever less often.
_FIRST_GLANCE: Final = timedelta(milliseconds=25)
_RARER: Final = 1.5
_SEED_BYTES: Final = 32


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
    plan = _sold(context, request)
    if (table := context.own_tables.get(plan.name)) is not None:
        return await _provision_row(context, request, plan, *table)
    known, work = context.under_way.get(request.uuid, (None, None))
    if work is None or known != request:
        work = asyncio.create_task(_provision(context, request, plan))
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


def _sold(context: Context, request: ProvisionRequest) -> Plan:
    plan = context.plans.get(request.plan)
    if plan is None:
        raise Refused(f"There is no plan named {request.plan[:60]!r}. Please choose another plan.")
    if not context.manifest.sells_in(request.region):
        raise Refused(f"{context.manifest.name} is not available in the region of this app yet.")
    return plan


async def _provision(context: Context, request: ProvisionRequest, plan: Plan) -> Answer:
    deadline = request_deadline()
    seed = secrets.token_bytes(_SEED_BYTES)
    newcomer = _newcomer(context, request, plan, seed)
    entry = await context.newcomers.ask(newcomer, partial(newcomers.write, context), key=request.uuid)
    if not entry.is_new:
        return await _answer_again(context, request, entry, deadline)
    if plan.is_instant:
        return await _provision_now(context, request, plan, seed, deadline)
    return _in_background(request.uuid)


async def _provision_row(
    context: Context, request: ProvisionRequest, plan: Plan, table: OwnTable, gathering: Gathering[Any, Any]
) -> Answer:
    """Make a resource whose service is a row: there in one transaction, or not at all, also if the caller leaves."""
    deadline = request_deadline()
    seed = secrets.token_bytes(_SEED_BYTES)
    wanted = _first(request, plan, seed)
    with context.watch.driver_call(plan.name, "provision"):
        row, provisioned = table.row(wanted)
    service = newcomers.Service(made=made_at_once.made(context, wanted, provisioned), row=row)
    newcomer = _newcomer(context, request, plan, seed, service)
    entry = await gathering.ask(newcomer, partial(newcomers.write, context, insert=table.insert), key=request.uuid)
    if not entry.is_new:
        return await _answer_again(context, request, entry, deadline)
    return Answer(uuid=request.uuid, config=dict(provisioned.config), message=provisioned.message)


async def _answer_again(context: Context, request: ProvisionRequest, entry: newcomers.Entry, deadline: float) -> Answer:
    """The answer where nothing was made now."""
    if entry.known is None and entry.refused is not None:
        raise Refused(entry.refused)
    if entry.known is None or entry.known.is_being_made or _may_keep(context, entry.known, request.grant):
        return await _join(context, request, deadline)
    return _told(context, entry.known)


def _first(request: ProvisionRequest, plan: Plan, seed: bytes) -> ResourceInfo:
    return ResourceInfo(
        uuid=request.uuid, plan=plan.name, region=request.region, generation=1, seed=seed, options=request.options
    )


def _newcomer(
    context: Context, request: ProvisionRequest, plan: Plan, seed: bytes, service: newcomers.Service | None = None
) -> newcomers.Newcomer:
    uuid = str(request.uuid)

    def sealed(secret: Secret, value: str | None) -> bytes | None:
        return None if value is None else context.keys.seal(value, purpose(secret, uuid))

    return newcomers.Newcomer(
        uuid=request.uuid,
        name=request.name,
        plan=request.plan,
        region=request.region,
        options=request.options,
        is_instant=plan.is_instant,
        refusal=f"The plan {plan.name} is no longer sold. Please choose another plan." if plan.is_withdrawn else None,
        traceparent=tracing.traceparent(),
        seed_sealed=context.keys.seal(seed.hex(), purpose("seed", uuid)),
        grant_sealed=sealed("grant", request.grant or None),
        log_input_url_sealed=sealed("log_input_url", request.log_input_url),
        log_drain_token_sealed=sealed("log_drain_token", request.log_drain_token),
        log_drain_digest=token_digest(request.log_drain_token) if request.log_drain_token else None,
        service=service,
    )


async def _join(context: Context, request: ProvisionRequest, deadline: float) -> Answer:
    """What came before this request, once that is ready to be told; this one's grant may be the fresher one."""
    async with context.database.transaction() as session:
        await _keep_newer_grant(context, session, await locked(session, request.uuid), request.grant)
    return await _answer(context, request.uuid, deadline)


def _may_keep(context: Context, known: Known, grant: str | None) -> bool:
    """Whether a repeated request brings a fresh grant: worth keeping while there are no tokens yet."""
    is_of_use = grant is not None and known.state is not State.DEPROVISIONED and known.refresh_token_sealed is None
    return is_of_use and known.grant(context.keys) != grant


async def _keep_newer_grant(context: Context, session: AsyncSession, resource: Resource, grant: str | None) -> None:
    if not _may_keep(context, newcomers.known(resource), grant):
        return
    resource.seal(context.keys, "grant", grant)
    resource.grant_received_at = context.clock()
    # Ahead of what already waits for these tokens.
    await context.queue.enqueue(session, "exchange_grant", resource.uuid, priority=1)


async def _provision_now(
    context: Context, request: ProvisionRequest, plan: Plan, seed: bytes, deadline: float
) -> Answer:
    """Have the service made within this request, or leave it to the background."""
    wanted = _first(request, plan, seed)
    try:
        async with asyncio.timeout_at(deadline):
            with context.watch.driver_call(plan.name, "provision"):
                provisioned = await plan.driver.provision(wanted)
    except Refused as refused:
        async with context.database.transaction() as session:
            resource = await locked(session, request.uuid)
            await give_up_provisioning(context, session, resource, refused.message)
    except Exception as error:  # noqa: BLE001 - whatever it was, the background tries again
        _log.warning("an instant plan goes on in the background", resource=str(request.uuid), reason=repr(error))
        async with context.database.transaction() as session:
            resource = await locked(session, request.uuid)
            resource.unsettled_since = None
            await context.queue.enqueue(
                session, "deprovision_service" if resource.is_gone else "provision_service", resource.uuid
            )
    else:
        made = made_at_once.made(context, wanted, provisioned)
        if await context.made.ask(made, partial(made_at_once.record, context), key=made.uuid):
            return Answer(uuid=request.uuid, config=dict(provisioned.config), message=provisioned.message)
        async with context.database.transaction() as session:
            resource = await locked(session, request.uuid)
            if await record_service(context, session, resource, provisioned, wanted):
                # Heroku takes the config from the answer to its request.
                resource.pushed_version = resource.config_version
            if not resource.is_gone:
                await record_provisioned(context, session, resource, provisioned.message)
    return _told(context, newcomers.known(resource))


async def _answer(context: Context, uuid: UUID, deadline: float) -> Answer:
    """What every caller with this uuid is told; waits for one who works on it now."""
    pause = _FIRST_GLANCE.total_seconds()
    while True:
        async with context.database.transaction() as session:
            known = newcomers.known(await session.get_one(Resource, uuid))
        if not known.is_being_made or asyncio.get_running_loop().time() > deadline:
            return _told(context, known)
        await asyncio.sleep(pause)
        pause *= _RARER


def _told(context: Context, known: Known) -> Answer:
    """The answer, from the row alone, so that an equal request gets an equal one."""
    if known.refusal is not None:
        raise Refused(known.refusal)
    if known.state is State.DEPROVISIONED:
        raise Gone
    if known.state is State.PROVISIONING:
        return _in_background(known.uuid)
    return Answer(uuid=known.uuid, config=known.config(context.keys), message=known.message)


def _in_background(uuid: UUID) -> Answer:
    return Answer(uuid=uuid, message="Your add-on is being provisioned.")
