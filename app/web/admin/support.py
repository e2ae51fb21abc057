"""What support may look at besides the panel: a customer's dashboard, and the values of the config vars. Both with a
reason, and both seen by the customer.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.errors import Refused
from app.operations import support
from app.operations.action import Order
from app.operations.credentials import reveal_config
from app.operators.sessions import SignedInOperator
from app.resources.models import Resource
from app.web.admin.access import GenuineForm, Support, read_form
from app.web.admin.pages import render_page
from app.web.admin.resource import the_resource
from app.web.cookies import set_session
from app.web.dependencies import OpenContext

router = APIRouter(prefix="/resources/{uuid:uuid}")

# What each page says: its title, what will happen, the words on the button.
_DASHBOARD: Final = {
    "title": "Open the dashboard as support",
    "foretold": "You see the dashboard as its customer does, for 30 minutes. Config values and rotation are not "
    "available there. The customer's recent events say that support has opened it, not who and not why.",
    "button": "Open the dashboard",
}
_CONFIG: Final = {
    "title": "Show config values",
    "foretold": "The values of the config vars are shown to you once. They are secrets: whoever has them can use the "
    "service. The customer's recent events say that they were shown to support, not to whom and not why.",
    "button": "Show the values",
}


@router.get("/open-dashboard")
async def ask_to_visit(request: Request, context: OpenContext, operator: Support, uuid: UUID) -> Response:
    """The form that asks for the reason."""
    resource = await the_resource(context, uuid)
    return _page(request, operator, resource, _DASHBOARD, why_not=support.why_no_visit(resource))


@router.post("/open-dashboard", dependencies=[GenuineForm])
async def visit(request: Request, context: OpenContext, operator: Support, uuid: UUID) -> Response:
    """303 to the dashboard, signed in as support."""
    reason, resource = (await read_form(request)).get("reason", ""), await the_resource(context, uuid)
    try:
        sign_in = await support.visit(context, uuid, Order(actor=operator.actor, reason=reason), operator.session.id)
    except Refused as refused:
        return _page(request, operator, resource, _DASHBOARD, 422, alert=refused.message, reason=reason)
    response = RedirectResponse(f"/dashboard/{uuid}", 303)
    response.headers["Cache-Control"] = "no-store"
    signer, is_https = request.app.state.session_signer, context.settings.is_https
    set_session(response, signer, resource=uuid, sign_in=sign_in.id, is_https=is_https)
    return response


@router.get("/show-config")
async def ask_to_show(request: Request, context: OpenContext, operator: Support, uuid: UUID) -> Response:
    """The form that asks for the reason."""
    resource = await the_resource(context, uuid)
    return _page(request, operator, resource, _CONFIG, why_not=_why_no_config(resource))


@router.post("/show-config", dependencies=[GenuineForm])
async def show(request: Request, context: OpenContext, operator: Support, uuid: UUID) -> Response:
    """The values, this once."""
    reason, resource = (await read_form(request)).get("reason", ""), await the_resource(context, uuid)
    try:
        values = await reveal_config(context, uuid, Order(actor=operator.actor, reason=reason))
    except Refused as refused:
        return _page(request, operator, resource, _CONFIG, 422, alert=refused.message, reason=reason)
    return _page(request, operator, resource, _CONFIG, values=values)


def _why_no_config(resource: Resource) -> str | None:
    return "There are no config vars to show." if resource.config_sealed is None else None


def _page(
    request: Request,
    operator: SignedInOperator,
    resource: Resource,
    words: Mapping[str, str],
    status: int = 200,
    *,
    values: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    shown = {"alert": None, "reason": "", "why_not": None, "values": values} | more
    return render_page(request, operator, "admin/support.html", status, resource=resource, **words, **shown)
