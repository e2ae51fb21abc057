"""What Heroku has told by webhooks about all resources, and what became of it."""

from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from app.errors import Refused
from app.operations import webhooks
from app.operations.webhooks import KINDS, STATUSES, Found, summary
from app.operators.roles import Role
from app.web.admin.access import PATH, Viewer
from app.web.admin.pages import render_page
from app.web.dependencies import OpenContext

router = APIRouter(prefix="/webhooks")

_LIST: Final = f"{PATH}/webhooks"

# What the database takes for one.
Before = Annotated[int | None, Query(ge=0, lt=2**63)]
Text = Annotated[str, Query(max_length=200)]


@router.get("")
async def show(
    request: Request,
    context: OpenContext,
    operator: Viewer,
    status: Text = "",
    kind: Text = "",
    resource: Text = "",
    before: Before = None,
) -> Response:
    """A page of them, newest first, all or some."""
    typed = {"status": status, "kind": kind, "resource": resource.strip()}
    answer, alert = 200, None
    found: list[Found] = []
    older = None
    try:
        uuid = _uuid(typed["resource"])
        rows, older = await webhooks.find(context, status=status, kind=kind, resource=uuid, before=before)
        found = list(rows)
    except Refused as refused:
        answer, alert = 422, refused.message
    chosen = {name: value for name, value in typed.items() if value}
    return render_page(
        request,
        operator,
        "admin/webhooks.html",
        answer,
        alert=alert,
        rows=found,
        summary=summary,
        typed=typed,
        is_part=bool(chosen),
        statuses=STATUSES,
        kinds=KINDS,
        top=_address(chosen),
        is_top=before is None,
        older=None if older is None else _address(chosen | {"before": str(older)}),
        is_on=context.settings.heroku_webhooks,
        may_handle=operator.actor.role >= Role.SUPPORT,
    )


def _address(parameters: dict[str, str]) -> str:
    return f"{_LIST}?{urlencode(parameters)}" if parameters else _LIST


def _uuid(text: str) -> UUID | None:
    """The resource that was typed, if one was.

    Raises:
        Refused: it is no uuid.
    """
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Refused("A resource is chosen by its uuid, such as 01234567-89ab-cdef-0123-456789abcdef.") from None
