"""Actions on the end of a resource: deprovision it by force, restore what is kept of it, remove that for ever."""

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.context import Context
from app.errors import Gone, Refused, Retry, Unauthorized
from app.operations.action import Action, Order
from app.operators.roles import Role
from app.resources import removal
from app.resources.lifecycle import PROGRAM, end_life, locked, record
from app.resources.models import Resource
from app.resources.tokens import with_token

# How long an operator waits for Heroku to take the news.
_LONGEST_CALL: Final = timedelta(seconds=10)


def _why_no_deprovision(_context: Context, resource: Resource) -> str | None:
    return "It has been deprovisioned already." if resource.is_gone else None


async def _foretell_deprovision(context: Context, resource: Resource) -> str:
    grace, driver = context.settings.deprovision_grace, context.plans[resource.plan].driver
    if grace and driver.can_set_aside and resource.provisioned_at is not None:
        service = f"The service is out of reach at once and removed for ever after {_words(grace)}"
    else:
        service = "The service and all that is stored in it are removed for ever"
    return (
        f"{resource.name} ends here, whatever Heroku thinks of it. {service}. Heroku is told, but takes that only of "
        "add-ons that are still being provisioned: any other one it goes on listing and billing until the customer or "
        "Heroku removes it there, and its apps keep config vars that open nothing."
    )


def _words(grace: timedelta) -> str:
    hours = grace / timedelta(hours=1)
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:.3g} hours"


async def _deprovision(context: Context, uuid: UUID, order: Order) -> str:
    said = await _tell_heroku(context, uuid)
    async with context.database.transaction() as session:
        resource = await locked(session, uuid)
        if resource.is_gone:
            raise Refused("It has been deprovisioned already.")
        await end_life(context, session, resource, text="Deprovisioned by support", **order.signature)
        # Heroku's own words are for operators only.
        record(session, uuid, context.clock(), "heroku_told", PROGRAM, said, is_for_customer=False)
    return f"It has ended here. {said}"


async def _tell_heroku(context: Context, uuid: UUID) -> str:
    """How Heroku takes the news, as a sentence; nothing that it answers keeps a resource alive."""
    try:
        async with asyncio.timeout(_LONGEST_CALL.total_seconds()):
            await with_token(context, uuid, lambda token: context.heroku.mark_deprovisioned(uuid, token))
    except Gone:
        return "Heroku did not know it any more."
    except (Refused, Unauthorized) as error:
        return f"Heroku did not take the news and may go on listing it: {str(error).rstrip('.')}."
    except (Retry, TimeoutError):
        return "Heroku could not be told and goes on listing it."
    return "Heroku has taken the news and lists it no more."


DEPROVISION: Final = Action(
    id="deprovision",
    title="Deprovision by force",
    role=Role.OPERATOR,
    why_not=_why_no_deprovision,
    foretell=_foretell_deprovision,
    run=_deprovision,
    is_grave=True,
)


def _why_no_restoring(context: Context, resource: Resource) -> str | None:
    return removal.why_no_restoring(resource, context.clock())


async def _foretell_restoring(context: Context, resource: Resource) -> str:
    until = max(resource.kept_until or context.clock(), context.clock() + removal.RESTORED_FOR)
    return (
        f"What is stored in {resource.name} can be reached again, with new credentials that you find under its config "
        f"vars and hand over to the customer, until {until:%d %b %Y, %H:%M} UTC; then it is removed for ever. For "
        "Heroku it stays deprovisioned: no app gets it back, and nobody is billed."
    )


async def _restore(context: Context, uuid: UUID, order: Order) -> str:
    until = await removal.restore(context, uuid, **order.signature)
    return f"It is being restored, until {until:%d %b %Y, %H:%M} UTC. Its credentials are shown under its config vars."


RESTORE: Final = Action(
    id="restore",
    title="Restore",
    role=Role.OPERATOR,
    why_not=_why_no_restoring,
    foretell=_foretell_restoring,
    run=_restore,
)


def _why_no_purge(_context: Context, resource: Resource) -> str | None:
    return removal.why_no_purge(resource)


async def _foretell_purge(_context: Context, resource: Resource) -> str:
    return f"All that is kept of {resource.name} is removed now and for ever. Nobody can bring it back."


async def _purge(context: Context, uuid: UUID, order: Order) -> str:
    await removal.purge(context, uuid, **order.signature)
    return "It is removed for ever, within moments."


PURGE: Final = Action(
    id="purge",
    title="Purge",
    role=Role.OWNER,
    why_not=_why_no_purge,
    foretell=_foretell_purge,
    run=_purge,
    is_grave=True,
)
