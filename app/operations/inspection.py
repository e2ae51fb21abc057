"""Everything that is known about one resource, for who looks at it. No secret is among it."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select

from app import job_queue
from app.context import Context
from app.errors import Gone
from app.job_queue import QueuedWork
from app.operations import exchanges
from app.operations.credentials import credentials_in_use
from app.operations.found import SOON
from app.plans import Plan
from app.resources import app_facts
from app.resources.history import Usage, usage_since
from app.resources.models import Resource, State
from app.resources.traces import Exchange, SignIn
from app.resources.usage import MEMORY

_SIGN_INS: Final = 10
# A push that takes longer than this is in trouble.
_SLOW_PUSH: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that an operator should know first; `at` is since when."""

    text: str
    at: datetime | None
    is_bad: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """One resource, as it was at one time.

    Attributes:
        resource: its row.
        plan: its line of the price list; None if it is not there any more.
        driver_name: of what makes it; None as above.
        config_names: the names of its config vars.
        detail_names: the names of what its driver remembers about it.
        in_use: how many clients use each generation of the credentials; None if nobody can tell.
        heroku_silence: a sentence if Heroku could not be asked about the app just now.
        usage: one for each measure of the newest reading.
        work: what waits or runs for it, in order.
        exchanges: the newest ones with Heroku, newest first.
        sign_ins: the newest ones to its dashboard, support's among them, newest first.
        troubles: what is wrong, worst first.
    """

    resource: Resource
    plan: Plan | None
    driver_name: str | None
    config_names: Sequence[str]
    detail_names: Sequence[str]
    in_use: Mapping[int, int] | None
    heroku_silence: str | None
    usage: Sequence[Usage]
    work: Sequence[QueuedWork]
    exchanges: Sequence[Exchange]
    sign_ins: Sequence[SignIn]
    troubles: Sequence[Trouble]


async def inspect(context: Context, uuid: UUID) -> Inspection:
    """Look at a resource; Heroku and the driver are asked too, for at most two seconds.

    Raises:
        Gone: there never was such a resource.
    """
    async with context.database.transaction() as session:
        resource = await session.get(Resource, uuid)
    if resource is None:
        raise Gone
    silence, in_use = await asyncio.gather(app_facts.look(context, resource), _in_use(context, resource))
    async with context.database.transaction() as session:
        resource = await session.get_one(Resource, uuid)
        usage = await usage_since(session, uuid, context.clock() - MEMORY)
        work = await job_queue.work_of(session, uuid)
        newest = await exchanges.newest(session, uuid)
        query = select(SignIn).where(SignIn.resource_uuid == uuid).order_by(SignIn.at.desc()).limit(_SIGN_INS)
        sign_ins = (await session.scalars(query)).all()
    plan = context.plans.get(resource.plan)
    return Inspection(
        resource=resource,
        plan=plan,
        driver_name=None if plan is None else type(plan.driver).__name__,
        config_names=list(resource.config(context.keys)),
        detail_names=sorted(json.loads(resource.open(context.keys, "details") or "{}")),
        in_use=in_use,
        heroku_silence=silence,
        usage=usage,
        work=work,
        exchanges=newest,
        sign_ins=sign_ins,
        troubles=troubles(resource, context.clock()),
    )


async def _in_use(context: Context, resource: Resource) -> Mapping[int, int] | None:
    if resource.state is not State.PROVISIONED or resource.plan not in context.plans:
        return None
    return await credentials_in_use(context, resource)


def troubles(resource: Resource, now: datetime) -> list[Trouble]:
    """What is wrong with a resource, worst first."""
    facts = resource.heroku_facts or {}
    is_alive = not resource.is_gone
    found = [
        (resource.refusal is not None, Trouble(text=f"Could not be provisioned: {resource.refusal}", at=None)),
        (
            resource.unknown_to_heroku_at is not None and is_alive,
            Trouble(text="Heroku says that it does not know this resource.", at=resource.unknown_to_heroku_at),
        ),
        (
            resource.tokens_refused_at is not None,
            Trouble(text="Heroku does not accept its refresh token.", at=resource.tokens_refused_at),
        ),
        (
            resource.suspension_waits_since is not None and resource.suspension_waits_since < now - SOON,
            Trouble(
                text="It is suspended, but could not be closed yet: its customer may still get in."
                if resource.suspended_at is not None
                else "It is resumed, but could not be opened yet: its customer may be shut out.",
                at=resource.suspension_waits_since,
            ),
        ),
        (
            resource.failures > 0,
            Trouble(
                text=f"Work on it failed {resource.failures} times in a row: {resource.last_error}",
                at=resource.last_error_at,
            ),
        ),
        (
            _is_slow(resource, now),
            Trouble(text="Heroku does not have its newest config vars.", at=resource.config_changed_at),
        ),
        (
            resource.config_differs_at is not None,
            Trouble(text="Heroku has other config vars than it was sent.", at=resource.config_differs_at),
        ),
        (
            is_alive and facts.get("plan") not in {None, resource.plan},
            Trouble(text=f"Heroku has it on the plan {facts.get('plan')}.", at=resource.app_read_at, is_bad=False),
        ),
        (
            is_alive and facts.get("state") not in {None, resource.state},
            Trouble(text=f"For Heroku it is {facts.get('state')}.", at=resource.app_read_at, is_bad=False),
        ),
        (
            resource.is_gone and resource.removed_at is None and resource.kept_until is None,
            Trouble(text="What was made for it has not been removed yet.", at=resource.deprovisioned_at, is_bad=False),
        ),
    ]
    return [trouble for is_so, trouble in found if is_so]


def _is_slow(resource: Resource, now: datetime) -> bool:
    changed_at = resource.config_changed_at
    is_waiting = resource.needs_push and not resource.is_gone
    return is_waiting and changed_at is not None and changed_at < now - _SLOW_PUSH
