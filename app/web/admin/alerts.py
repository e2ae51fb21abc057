"""What needs somebody's attention, what did, and how the team is told."""

from datetime import datetime
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from pydantic import Field

from app.context import Context
from app.errors import Refused
from app.operations import alerts, telling
from app.operations.alerts import KINDS
from app.operations.channels import channels
from app.operations.messages import page, title
from app.operators.sessions import SignedInOperator
from app.web.admin.access import PATH, GenuineForm, Operator, Viewer
from app.web.admin.pages import back, render_page
from app.web.dependencies import OpenContext

router = APIRouter(prefix="/alerts")

_PAGE: Final = f"{PATH}/alerts"
_SHOWN: Final = 100
_PAST: Final = 50

# What the database takes for one.
Id = Annotated[int, Field(ge=0, lt=2**63)]


@router.get("")
async def show(
    request: Request,
    context: OpenContext,
    operator: Viewer,
    before: datetime | None = None,
    before_id: Id = 0,
) -> Response:
    """Open alerts, past ones, the ways to the team."""
    return await _page(request, context, operator, before=None if before is None else (before, before_id))


@router.post("/trial", dependencies=[GenuineForm])
async def send_trial(request: Request, context: OpenContext, operator: Operator) -> Response:
    """Send a trial every way."""
    try:
        errors = await telling.send_trial(context, operator.actor)
    except Refused as refused:
        return await _page(request, context, operator, 422, alert=refused.message)
    failed = [f"{name}: {error}" for name, error in errors.items() if error]
    if failed:
        said = "The trial did not arrive everywhere. " + " ".join(failed)
        return await _page(request, context, operator, 422, alert=said)
    return back(request, operator, _PAGE, f"The trial was sent by {' and '.join(errors)}. Look whether it is there.")


async def _page(
    request: Request,
    context: Context,
    operator: SignedInOperator,
    status: int = 200,
    *,
    before: tuple[datetime, int] | None = None,
    alert: str | None = None,
) -> Response:
    past = await alerts.past_alerts(context, before=before, limit=_PAST + 1)
    counts = await alerts.count_open(context)
    last = past[_PAST - 1] if len(past) > _PAST else None
    return render_page(
        request,
        operator,
        "admin/alerts.html",
        status,
        alert=alert,
        counts=[(title(kind), number) for kind, number in counts.items()],
        number=sum(counts.values()),
        open_alerts=await alerts.open_alerts(context, limit=_SHOWN),
        past=past[:_PAST],
        older=None if last is None else f"{_PAGE}?{urlencode({'before': last.closed_at, 'before_id': last.id})}",
        is_top=before is None,
        ways=list(channels(context).values()),
        undelivered=await telling.undelivered(context),
        panel=PATH,
        page_of=page,
        title_of=title,
        kinds=KINDS,
    )
