"""Mending what a reconciliation has found, one difference at a time, on an operator's word.

Whatever was true when the lists were compared is looked at again right before anything is done. Most repairs are the
actions that operators have for every resource, so the same rules and the same history apply.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.context import Context
from app.errors import Gone, Refused, Retry, Unauthorized
from app.heroku_answers import AddonInfo
from app.operations.action import Order, clean_reason, perform
from app.operations.comparison import REMOVED
from app.operations.credentials import ROTATE
from app.operations.ending import DEPROVISION
from app.operations.installs import listed
from app.operations.models import Difference, Reconciliation
from app.operations.service import MOVE_PLAN
from app.operations.work import RETRY_NOW
from app.operators.roles import Actor, Role
from app.resources.config_values import Standing
from app.resources.delivery import config_standing
from app.resources.lifecycle import PROGRAM, locked, record
from app.resources.models import Resource, State
from app.resources.tokens import with_token

# Where a resource has no tokens, Heroku's list is searched; a page waits for that no longer.
_LONGEST_SEARCH: Final = timedelta(seconds=15)

# A list that has shrunk below this since the comparison is not believed.
_BELIEVED_SHARE: Final = 0.8


class Over(Refused):
    """There is nothing left to mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One way of mending.

    Attributes:
        title: on buttons and in tables.
        foretells: what will happen, in a sentence.
        run: does it, after another look; returns a sentence about it.
        is_grave: it takes something from somebody.
    """

    title: str
    foretells: str
    run: Callable[[Context, Difference, Order], Awaitable[str]]
    is_grave: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one repair."""

    difference_id: int
    resource_uuid: UUID
    is_over: bool
    text: str


async def load(context: Context, ids: Sequence[int]) -> Sequence[Difference]:
    """The differences, in the order of the ids; unknown ones are left out."""
    async with context.database.transaction() as session:
        found = [await session.get(Difference, id_) for id_ in ids]
    return [one for one in found if one is not None]


async def apply(context: Context, actor: Actor, ids: Sequence[int], reason: str) -> AsyncIterator[Outcome]:
    """Mend the differences, one after the other; each is over or not on its own.

    Raises:
        Refused: the role is too low, or the reason is missing; nothing was done then.
    """
    actor.need(Role.OPERATOR)
    order = Order(actor=actor, reason=clean_reason(reason))
    for id_ in dict.fromkeys(ids):
        yield await _apply(context, id_, order)


async def _apply(context: Context, id_: int, order: Order) -> Outcome:
    async with context.database.transaction() as session:
        difference = await session.get(Difference, id_)
        if difference is None:
            raise Refused(f"There is no difference {id_}.")
        run = await session.get_one(Reconciliation, difference.reconciliation_id)
    uuid = difference.resource_uuid
    if difference.repaired_at is not None:
        return Outcome(difference_id=id_, resource_uuid=uuid, is_over=True, text="It is over already.")
    if difference.repair is None or run.ended_at is None:
        return Outcome(difference_id=id_, resource_uuid=uuid, is_over=False, text="No repair is proposed for it.")
    is_over = False
    try:
        text = await REPAIRS[difference.repair].run(context, difference, order)
        is_over = True
    except Over as over:
        text, is_over = f"{over.message} Nothing was done.", True
    except Refused as refused:
        text = refused.message
    except Gone:
        text, is_over = "It has been deprovisioned meanwhile. Nothing was done.", True
    except (Retry, Unauthorized):
        text = "Heroku could not be asked just now, so nothing was done. Please try again."
        if order.actor.name == PROGRAM:  # which does so by itself
            return Outcome(difference_id=id_, resource_uuid=uuid, is_over=False, text=text)
    await note(context, id_, text, by=order.actor.name if is_over else None)
    return Outcome(difference_id=id_, resource_uuid=uuid, is_over=is_over, text=text)


async def note(context: Context, id_: int, text: str, *, by: str | None) -> None:
    """Keep what became of a repair; with a name in `by` it is over."""
    async with context.database.transaction() as session:
        difference = await session.get_one(Difference, id_, with_for_update=True)
        difference.outcome = text
        if by is not None:
            difference.repaired_at, difference.repaired_by = context.clock(), by


async def _deprovision(context: Context, difference: Difference, order: Order) -> str:
    uuid = difference.resource_uuid
    if (await _row(context, uuid)).is_gone:
        raise Over("It has been deprovisioned already.")
    if await _is_at_heroku(context, difference):
        raise Over("Heroku has it after all.")
    await perform(context, DEPROVISION, uuid, order)
    return "It has ended here, as it had at Heroku."


async def _retry(context: Context, difference: Difference, order: Order) -> str:
    resource = await _row(context, difference.resource_uuid)
    if resource.state is not State.PROVISIONING and not resource.needs_push:
        raise Over("Nothing is missing any more.")
    return await perform(context, RETRY_NOW, resource.uuid, order)


async def _move_plan(context: Context, difference: Difference, order: Order) -> str:
    resource = await _row(context, difference.resource_uuid)
    if resource.plan == difference.there:
        raise Over(f"It is on the plan {resource.plan} already.")
    info = await _ask(context, resource)
    if info is None:
        raise Refused("Heroku does not say on which plan it is: compare again, or move it on the page of the resource.")
    if info.plan == resource.plan:
        raise Over(f"Heroku has it on the plan {resource.plan}, too.")
    if info.plan != difference.there or info.plan is None:
        raise Refused("Heroku has put it on another plan since: compare again.")
    order = Order(actor=order.actor, reason=order.reason, parameters={"plan": info.plan})
    return await perform(context, MOVE_PLAN, resource.uuid, order)


async def _announce(context: Context, difference: Difference, order: Order) -> str:
    resource = await _row(context, difference.resource_uuid)
    if resource.state is not State.PROVISIONED:
        raise Over(f"It is {resource.state} here now.")
    info = await _ask(context, resource)
    if info is not None and info.state == State.PROVISIONED:
        raise Over("Heroku knows that it is ready.")
    version, config = resource.config_version, resource.config(context.keys)

    async def announce(token: str) -> None:
        # The answer that had them may have been lost, too; while it is being provisioned no app restarts by this.
        await context.heroku.update_config(resource.uuid, token, config)
        await context.heroku.mark_provisioned(resource.uuid, token)

    await with_token(context, resource.uuid, announce)
    async with context.database.transaction() as session:
        resource = await locked(session, resource.uuid)
        resource.pushed_version = max(resource.pushed_version, version)
        text = "Heroku was told once more that it is ready"
        record(session, resource.uuid, context.clock(), "announced", text=text, **order.signature)
    return "Heroku knows that it is ready and releases its config vars."


async def _rotate(context: Context, difference: Difference, order: Order) -> str:
    resource = await _row(context, difference.resource_uuid)
    if await config_standing(context, resource) is Standing.SAME:
        async with context.database.transaction() as session:
            (await locked(session, resource.uuid)).config_differs_at = None
        raise Over("Heroku has our config vars now.")
    return await perform(context, ROTATE, resource.uuid, order)


async def _row(context: Context, uuid: UUID) -> Resource:
    async with context.database.transaction() as session:
        resource = await session.get(Resource, uuid)
    if resource is None:
        raise Over("It is not here.")
    return resource


async def _ask(context: Context, resource: Resource) -> AddonInfo | None:
    """What Heroku says to the resource's own token; None if there is none that it takes.

    Raises:
        Gone: Heroku does not know it.
        Retry: there was no answer.
    """
    if not resource.has_tokens:
        return None
    infos: list[AddonInfo] = []

    async def look(token: str) -> None:
        infos.append(await context.heroku.addon(resource.uuid, token))

    try:
        await with_token(context, resource.uuid, look)
    except (Refused, Unauthorized):
        return None
    return infos[0]


async def _is_at_heroku(context: Context, difference: Difference) -> bool:
    """Whether Heroku has the add-on and does not remove it: by its own token, else by a fresh list."""
    uuid = difference.resource_uuid
    try:
        info = await _ask(context, await _row(context, uuid))
    except Gone:
        return False
    if info is not None:
        return info.state not in REMOVED
    number = 0
    try:
        async with asyncio.timeout(_LONGEST_SEARCH.total_seconds()):
            async for page in listed(context, pause=asyncio.sleep):
                number += len(page)
                for one in page:
                    if one.uuid == uuid:
                        return one.state not in REMOVED
    except TimeoutError:
        raise Refused(
            "It has no token that Heroku takes, and Heroku's list is too long to be searched now: nothing was done. "
            "If you are sure, deprovision it on its page."
        ) from None
    async with context.database.transaction() as session:
        run = await session.get_one(Reconciliation, difference.reconciliation_id)
    if number < (run.herokus or 0) * _BELIEVED_SHARE:
        raise Refused("Heroku's list is much shorter now than it was: nothing was done. Compare again later.")
    return False


REPAIRS: Final[Mapping[str, Repair]] = {
    "deprovision": Repair(
        title="Deprovision here",
        foretells="Heroku is asked once more. If it really does not have the add-on, it ends here as if Heroku had "
        "removed it: its service is taken away.",
        run=_deprovision,
        is_grave=True,
    ),
    "retry-now": Repair(
        title="Retry now",
        foretells="What waits for it is tried now, and what is missing is asked for again.",
        run=_retry,
    ),
    "move-plan": Repair(
        title="Move to Heroku's plan",
        foretells="Heroku is asked once more. If the plan still differs, the service is put on Heroku's plan.",
        run=_move_plan,
        is_grave=True,
    ),
    "announce": Repair(
        title="Tell Heroku it is ready",
        foretells="Heroku gets the config vars and is told that it is provisioned. It releases them, and the app "
        "restarts.",
        run=_announce,
    ),
    "rotate": Repair(
        title="Make new credentials",
        foretells="Heroku's config vars are looked at once more. If they still are not ours, new credentials are made "
        "and sent to Heroku, and the apps restart. Older ones stop two hours later, or when nobody uses them any more.",
        run=_rotate,
        is_grave=True,
    ),
}
