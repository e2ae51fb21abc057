"""Doing something to one resource: a page that says what will happen and asks why, and the form that does it."""

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from app.context import Context
from app.errors import Refused
from app.operations.action import Action, Order, need_name, offer, perform
from app.operations.actions import ACTIONS
from app.operators.sessions import SignedInOperator
from app.resources.models import Resource
from app.web.admin.access import PATH, GenuineForm, Viewer, read_form
from app.web.admin.pages import back, render_page
from app.web.dependencies import OpenContext

router = APIRouter(prefix="/resources/{uuid}/actions/{action_id}")


@router.get("")
async def confirm(request: Request, context: OpenContext, operator: Viewer, uuid: UUID, action_id: str) -> Response:
    """What will happen, and the form that asks for the reason. The role is the action's own."""
    action, resource = _action(action_id), await _resource(context, uuid)
    operator.actor.need(action.role)
    # A link may choose for whoever follows it; the reason is theirs.
    chosen = {one.name: request.query_params.get(one.name, "") for one in action.parameters}
    return await _page(request, context, operator, action, resource, typed=chosen)


@router.post("", dependencies=[GenuineForm])
async def do(request: Request, context: OpenContext, operator: Viewer, uuid: UUID, action_id: str) -> Response:
    """Do it; back to the resource. The role is the action's own."""
    action, resource = _action(action_id), await _resource(context, uuid)
    operator.actor.need(action.role)
    form = await read_form(request)
    try:
        need_name(action, resource, form.get("name", ""))
        said = await perform(
            context, action, uuid, Order(actor=operator.actor, reason=form.get("reason", ""), parameters=form)
        )
    except Refused as refused:
        resource = await _resource(context, uuid)
        return await _page(request, context, operator, action, resource, 422, alert=refused.message, typed=form)
    return back(request, operator, f"{PATH}/resources/{uuid}", said)


def _action(action_id: str) -> Action:
    action = ACTIONS.get(action_id)
    if action is None:
        raise HTTPException(404)
    return action


async def _resource(context: Context, uuid: UUID) -> Resource:
    async with context.database.transaction() as session:
        resource = await session.get(Resource, uuid)
    if resource is None:
        raise HTTPException(404)
    return resource


async def _page(
    request: Request,
    context: Context,
    operator: SignedInOperator,
    action: Action,
    resource: Resource,
    status: int = 200,
    *,
    alert: str | None = None,
    typed: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    offered = await offer(context, action, resource)
    asked = action.parameters if offered.why_not is None else ()
    return render_page(
        request,
        operator,
        "admin/action.html",
        status,
        action=action,
        resource=resource,
        why_not=offered.why_not,
        foretold=None if offered.why_not else await action.foretell(context, resource),
        parameters=[(parameter, offered.choices[parameter.name]) for parameter in asked],
        alert=alert,
        typed=typed,
    )
