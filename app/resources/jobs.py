"""The slow work of a resource's life, by name.

Each job is *load* (a short transaction), *call* (none open), *record* (a short transaction that also enqueues what is
next). Any of them may run twice, and may find the resource gone.

A provision in the background is the chain exchange_grant, provision_service, push_config, announce_provisioned.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.context import Context
from app.errors import Gone, Refused, Retry, Unauthorized
from app.resources.authorization import REFUSALS, by_new_grant, keep, note_new_grant, unbroken
from app.resources.lifecycle import (
    PROGRAM,
    give_up_provisioning,
    locked,
    measure_soon,
    record,
    record_provisioned,
    record_service,
)
from app.resources.models import Resource, State
from app.resources.removal import deprovision_service
from app.resources.tokens import with_token
from app.resources.traces import Event
from app.resources.unchanged import Seen, change, look

_log = structlog.get_logger(__name__)

# Heroku honours a grant for five minutes. https://devcenter.heroku.com/articles/building-an-add-on
GRANT_LIFE: Final = timedelta(minutes=5)
# Heroku gives up an add-on that is not marked provisioned within twelve hours; we end it shortly before, so that both
# sides agree. https://devcenter.heroku.com/articles/asynchronous-provisioning-of-add-ons
PROVISIONING_LIMIT: Final = timedelta(hours=11, minutes=50)
# How long the previous credentials work after Heroku has the new ones, at least: releases and restarts take time.
ROTATION_OVERLAP: Final = timedelta(hours=2)

# The kind of the event that Heroku has as provisioned what was to be given up here.
IN_USE: Final = "in_use_at_heroku"

SORRY: Final = "The add-on could not be provisioned. Nothing was charged; please try again or contact support."


async def exchange_grant(context: Context, uuid: UUID) -> None:
    """Trade the grant for tokens. Always first: it lives five minutes, however long the rest takes."""
    async with context.database.transaction() as session:
        resource = await _load(session, uuid)
        code = resource.open(context.keys, "grant")
        is_late = resource.grant_received_at is not None and context.clock() > resource.grant_received_at + GRANT_LIFE
    if code is None or resource.has_tokens:
        return
    await unbroken(context, ("grant", uuid), lambda: _exchange(context, uuid, code, is_late=is_late))


async def _exchange(context: Context, uuid: UUID, code: str, *, is_late: bool) -> None:
    is_new = False
    try:
        tokens = await context.heroku.exchange_grant(code, uuid=uuid)
    except REFUSALS as error:
        # It may have been spent by us, and the answer lost.
        another = await by_new_grant(context, uuid)
        if another is None and is_late:
            raise Refused("Heroku did not accept the authorization of this add-on in time.") from error
        if another is None:
            # May also mean that HEROKU_CLIENT_SECRET is wrong at the moment: worth trying as long as the grant lives.
            raise Retry(f"the grant was not accepted: {error}") from error
        tokens, is_new = another, True

    async def note(session: AsyncSession, resource: Resource) -> None:
        resource.seal(context.keys, "grant", None)
        now = context.clock()
        record(session, uuid, now, "grant_exchanged", PROGRAM, "Authorized by Heroku", is_for_customer=False)
        if is_new:
            note_new_grant(context, session, uuid)
        # After what Heroku and the customer wait for. Nobody could have asked before there was a token.
        if context.settings.heroku_webhooks:
            await context.queue.enqueue(session, "keep_webhook", uuid, at_most_one=True, priority=-2)
        await context.queue.enqueue(session, "read_app", uuid, at_most_one=True, priority=-2)

    await keep(context, uuid, tokens, besides=note)


async def provision_service(context: Context, uuid: UUID) -> None:
    """Have the driver make the service."""
    async with context.database.transaction() as session:
        resource = await _load(session, uuid)
    if resource.state is not State.PROVISIONING:
        return
    wanted = resource.info(context.keys)
    with context.watch.driver_call(wanted.plan, "provision"):
        provisioned = await context.plans[wanted.plan].driver.provision(wanted)
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        await record_service(context, session, resource, provisioned, wanted)
        if not resource.is_gone:
            resource.message = provisioned.message
            await context.queue.enqueue(session, "push_config", uuid)
            await context.queue.enqueue(session, "announce_provisioned", uuid)


async def push_config(context: Context, uuid: UUID) -> Seen:
    """Give Heroku the wanted config vars, if it has older ones: several changes in a row make one push."""
    return await push(context, await look(context, uuid))


async def push(context: Context, seen: Seen) -> Seen:
    """The same for a resource that was read a moment ago."""
    resource = seen.resource
    uuid, version, config = resource.uuid, resource.config_version, resource.config(context.keys)
    if resource.needs_push:
        await with_token(context, uuid, lambda token: context.heroku.update_config(uuid, token, config), seen=resource)

    async def note(session: AsyncSession, resource: Resource) -> None:
        if resource.is_gone:
            raise Gone
        if version > resource.pushed_version:
            resource.pushed_version = version
            record(session, uuid, context.clock(), "config_pushed", PROGRAM, "Config vars sent to Heroku")
        # Also when there was nothing to push: Heroku has the new credentials then, from an answer to a plan change.
        if resource.rotated_at is not None and not resource.needs_push and resource.retire_at is None:
            resource.retire_at = context.clock() + ROTATION_OVERLAP
            text = "Credentials rotated: the config vars have the new ones. The previous ones work until "
            await context.app_log.add(session, uuid, f"{text}{resource.retire_at:%Y-%m-%d %H:%M} UTC at least.")
            resource.rotated_at = resource.retirement_waits_for = resource.retirement_waits_since = None

    return await change(context, seen, note)


async def announce_provisioned(context: Context, uuid: UUID) -> None:
    """Tell Heroku that the resource is ready; it then releases the config. After push_config, in this order."""
    async with context.database.transaction() as session:
        resource = await _load(session, uuid)
    if resource.state is not State.PROVISIONING:
        return
    if resource.needs_push or resource.config_version == 0:
        raise Retry("the config has not been pushed yet")

    async def announce(token: str) -> None:
        try:
            await context.heroku.mark_provisioned(uuid, token)
        except Refused:
            # Perhaps it was marked before, and we died before we could record it.
            if await context.heroku.addon_state(uuid, token) != State.PROVISIONED:
                raise

    await with_token(context, uuid, announce)
    async with context.database.transaction() as session:
        resource = await _living(session, uuid)
        if resource.state is State.PROVISIONING:
            await record_provisioned(context, session, resource, resource.message)


async def settle(context: Context, uuid: UUID) -> None:
    """Finish what a request had begun with the driver: bring the service to what the row says."""
    async with context.database.transaction() as session:
        resource = await session.get_one(Resource, uuid)
    if resource.is_gone:
        await deprovision_service(context, uuid)
    elif resource.config_version == 0:
        await provision_service(context, uuid)
    else:
        wanted = resource.info(context.keys)
        with context.watch.driver_call(wanted.plan, "change_plan"):
            provisioned = await context.plans[wanted.plan].driver.change_plan(wanted)
        async with context.database.transaction() as session:
            resource = await _living(session, uuid)
            if await record_service(context, session, resource, provisioned, wanted):
                await context.queue.enqueue(session, "push_config", uuid)
            await measure_soon(context, session, uuid)
            has_older = resource.is_rotating
        if wanted.generation > 1 and not has_older:
            # A plan change that a rotation has overtaken may have made retired credentials once more.
            with context.watch.driver_call(wanted.plan, "retire"):
                await context.plans[wanted.plan].driver.retire(wanted)


async def rotate_service(context: Context, uuid: UUID) -> Seen:
    """Have the driver make new credentials; whoever runs this pushes them then (`outcomes.run_job`)."""
    seen = await look(context, uuid)
    resource = seen.resource
    if resource.rotation_requested_at is None:
        return seen
    if not resource.has_tokens:  # nor will there be any: the exchange of the grant was in the queue before this
        raise Refused("Heroku has never authorized us to change the config vars of this resource")
    # Until the driver has agreed to another plan, on the terms of the present one.
    wanted = resource.info(context.keys, plan=resource.service_plan, generation=resource.generation + 1)
    with context.watch.driver_call(wanted.plan, "rotate"):
        provisioned = await context.plans[wanted.plan].driver.rotate(wanted)

    async def note(session: AsyncSession, resource: Resource) -> None:
        if not resource.is_gone:
            resource.generation = wanted.generation
            resource.rotation_requested_at = None
            resource.rotated_at = resource.credentials_at = context.clock()
            record(session, uuid, context.clock(), "rotated", PROGRAM, "New credentials made")
        await record_service(context, session, resource, provisioned, wanted)

    seen = await change(context, seen, note)
    if seen.resource.is_gone:
        raise Gone
    return seen


async def report_failure(context: Context, uuid: UUID) -> None:
    """Tell Heroku that a resource cannot be provisioned, then end it here."""
    async with context.database.transaction() as session:
        resource = await _load(session, uuid)
    if resource.state is not State.PROVISIONING:
        return
    if resource.has_tokens:
        try:
            await with_token(context, uuid, lambda token: context.heroku.mark_deprovisioned(uuid, token))
        except (Gone, Refused, Unauthorized) as error:
            _log.warning("Heroku did not take the news of a failure", reason=str(error))
            if isinstance(error, Refused) and await _is_in_use(context, uuid):
                await _go_on(context, uuid)
                return
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        await give_up_provisioning(context, session, resource, resource.refusal or SORRY)


async def _is_in_use(context: Context, uuid: UUID) -> bool:
    """Whether Heroku has the add-on as provisioned, whatever we know of it."""
    states: list[str] = []

    async def ask(token: str) -> None:
        states.append(await context.heroku.addon_state(uuid, token))

    try:
        await with_token(context, uuid, ask)
    except (Gone, Refused, Unauthorized):
        return False
    return states[-1] == State.PROVISIONED


async def _go_on(context: Context, uuid: UUID) -> None:
    """Take nothing away from a customer who uses it: finish the provisioning instead, which may be done twice.

    So it is after our database was restored from a backup that was made in the middle of it.

    Raises:
        Retry: that was tried before, and only people can help.
    """
    async with context.database.transaction() as session:
        resource = await _living(session, uuid)
        query = select(Event.id).where(Event.resource_uuid == uuid, Event.kind == IN_USE).limit(1)
        if await session.scalar(query) is not None:
            resource.last_error = "Heroku has it as provisioned, and its provisioning does not come to an end here"
            resource.last_error_at = context.clock()
            is_first = False
        else:
            resource.refusal, is_first = None, True
            text = "Heroku has it as provisioned, so its provisioning is finished instead of given up"
            record(session, uuid, context.clock(), IN_USE, PROGRAM, text, is_for_customer=False)
            await context.queue.enqueue(session, "provision_service", uuid)
    if not is_first:
        raise Retry("Heroku has this add-on as provisioned: it is not ended here", after=timedelta(hours=1))


async def _load(session: AsyncSession, uuid: UUID) -> Resource:
    """The resource as it is; a deprovisioned one ends the job."""
    resource = await session.get_one(Resource, uuid)
    if resource.is_gone:
        raise Gone
    return resource


async def _living(session: AsyncSession, uuid: UUID) -> Resource:
    """The resource, locked to record on it; a deprovisioned one ends the job."""
    resource = await locked(session, uuid)
    if resource.is_gone:
        raise Gone
    return resource
