"""The page of one resource: what it is, what is wrong with it, what can be done, and all that happened to it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from app.context import Context
from app.errors import Gone, Refused
from app.operations.action import Action, offer
from app.operations.actions import ACTIONS
from app.operations.export import why_no_export
from app.operations.inspection import inspect
from app.operations.timeline import Show, timeline
from app.operations.webhooks import summary
from app.operators.roles import Role
from app.operators.sessions import SignedInOperator
from app.resources import rotation
from app.resources.models import Resource, State
from app.resources.retirement import LONGEST_HOLD
from app.resources.usage import MEMORY
from app.web.admin.access import Viewer
from app.web.admin.pages import render_page
from app.web.chart import bar
from app.web.dependencies import OpenContext

router = APIRouter(prefix="/resources/{uuid:uuid}")

# On the resource's own page; the rest is a page of its own.
_NEWEST = 20
_SHOWS = {
    Show.ALL: "Everything",
    Show.EVENTS: "Events",
    Show.OPERATORS: "What operators did",
    Show.SIGN_INS: "Sign-ins",
    Show.EXCHANGES: "Exchanges with Heroku",
    Show.WEBHOOKS: "Webhooks",
}


@router.get("")
async def show(request: Request, context: OpenContext, operator: Viewer, uuid: UUID) -> Response:
    """The page. Heroku and the driver are asked too; it is shown without their answers if they take long."""
    try:
        found = await inspect(context, uuid)
    except Gone:
        raise HTTPException(404) from None
    lines, older = await timeline(context, uuid, limit=_NEWEST)
    now = context.clock()
    return render_page(
        request,
        operator,
        "admin/resource.html",
        found=found,
        resource=found.resource,
        state=state_of(found.resource),
        bars=[bar(usage, now) for usage in found.usage],
        chart_since=now - MEMORY,
        ago=lambda at: ago(at, now),
        next_rotation_at=rotation.next_rotation_at(found.plan, found.resource),
        why_no_scheduled_rotation=rotation.why_no_scheduled_rotation(found.resource),
        longest_hold=LONGEST_HOLD,
        actions=await _actions(context, operator, found.resource),
        may_support=operator.actor.role >= Role.SUPPORT,
        may_export=operator.actor.role >= Role.OPERATOR and why_no_export(context, found.resource) is None,
        **_lines(lines, older, Show.ALL),
    )


@router.get("/timeline")
async def show_timeline(
    request: Request, context: OpenContext, operator: Viewer, uuid: UUID, show: str = Show.ALL, before: str = ""
) -> Response:
    """All lines or some, page by page into the past."""
    resource = await the_resource(context, uuid)
    wanted = Show(show) if show in set(Show) else Show.ALL
    status, alert = 200, None
    try:
        lines, older = await timeline(context, uuid, show=wanted, before=before)
    except Refused as refused:
        status, alert = 422, refused.message
        lines, older = await timeline(context, uuid, show=wanted)
        before = ""
    return render_page(
        request,
        operator,
        "admin/timeline.html",
        status,
        alert=alert,
        resource=resource,
        is_newest=not before,
        **_lines(lines, older, wanted),
    )


def _lines(lines: Any, older: str | None, wanted: Show) -> dict[str, Any]:
    return {"lines": lines, "older": older, "wanted": wanted, "shows": _SHOWS, "summary_of": summary}


async def _actions(context: Context, operator: SignedInOperator, resource: Resource) -> list[tuple[Action, str | None]]:
    """What the operator's role may do, each with the sentence why not now."""
    allowed = [action for action in ACTIONS.values() if operator.actor.role >= action.role]
    return [(action, (await offer(context, action, resource)).why_not) for action in allowed]


async def the_resource(context: Context, uuid: UUID) -> Resource:
    """The resource of an address.

    Raises:
        HTTPException: 404, there never was such a resource.
    """
    async with context.database.transaction() as session:
        resource = await session.get(Resource, uuid)
    if resource is None:
        raise HTTPException(404)
    return resource


def state_of(resource: Resource) -> tuple[str, str]:
    """The state in words, and how good that is: `good`, `warn`, `bad`, or nothing."""
    waits = resource.suspension_waits_since is not None
    described = [
        (resource.restored_at is not None, "Deprovisioned, restored for a while", "warn"),
        (resource.kept_until is not None, "Deprovisioned, still kept", "warn"),
        (resource.is_gone, "Deprovisioned", ""),
        (resource.state is State.PROVISIONING, "Being provisioned", "warn"),
        (resource.suspended_at is not None and waits, "Being suspended", "bad"),
        (resource.suspended_at is not None, "Suspended", "bad"),
        (waits, "Being resumed", "warn"),
        (resource.read_only_at is not None, "Read-only", "bad"),
        (resource.over_quota_at is not None, "Over the plan's limit", "warn"),
    ]
    return next(((words, level) for is_so, words, level in described if is_so), ("Provisioned", "good"))


def ago(at: datetime, now: datetime) -> str:
    """How long ago, or in how long, roughly: `3 hours ago`, `in 5 minutes`."""
    seconds = abs((now - at).total_seconds())
    unit, length = next(
        (found for found in (("day", 86_400), ("hour", 3_600), ("minute", 60)) if seconds >= found[1]), ("", 1)
    )
    if not unit:
        return "just now" if at <= now else "in a moment"
    number = int(seconds // length)
    words = f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{words} ago" if at <= now else f"in {words}"
