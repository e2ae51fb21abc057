"""The customer's pages: what the resource is, how to use it, how full it is, what happened, and new credentials.

A customer comes here by SSO and stays for 90 minutes. Everything works without JavaScript; nothing changes on GET.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse

from app.context import Context
from app.errors import Refused
from app.operations import support
from app.resources import lifecycle, rotation
from app.resources.history import events_for_customer, show_config, sign_out, usage_since
from app.resources.jobs import ROTATION_OVERLAP
from app.resources.models import Resource, State
from app.resources.retirement import LONGEST_HOLD
from app.resources.usage import GRACE, MEMORY
from app.web.chart import bar
from app.web.cookies import drop_session
from app.web.dependencies import Customer, GenuineForm, OpenContext, SignedIn, signed_in
from app.web.description import for_people, form_body
from app.web.limits import CONFIG_LOOKS, CREDENTIAL_CHANGES, limited
from app.web.pages import render

router = APIRouter(
    prefix="/dashboard/{uuid}",
    default_response_class=HTMLResponse,
    responses=for_people(303, 403, 410, 422, 429, 503),
)
_FORM: Final = form_body(required=("form_token",))
_LEADS_ON: Final[Mapping[str, Any]] = {"status_code": 303, "response_class": RedirectResponse}

_NOTICE: Final = "notice"
_NOTICE_LIFE: Final = timedelta(minutes=1)
# What a page says once after a form was sent. The browser carries the key only, never the words.
_NOTICES: Final[Mapping[str, str]] = {
    "rotation": "The rotation has begun. Nothing stops working now; below you see how far it is.",
    "retirement": "The previous credentials are being retired. They stop working within moments.",
}


class Rotation(StrEnum):
    """How far a rotation is; see `Resource.rotation_requested_at`."""

    NONE = "none"
    REQUESTED = "requested"
    WAITING = "waiting"
    OVERLAP = "overlap"
    HELD = "held"
    RETIRING = "retiring"


@router.get("")
async def show(request: Request, context: OpenContext, customer: Customer) -> Response:
    """The dashboard. Whatever is in the query string comes from Heroku's address and means nothing here."""
    notice = _NOTICES.get(request.cookies.get(_NOTICE, ""))
    response = await _page(request, context, customer, notice=notice)
    if _NOTICE in request.cookies:
        is_https = context.settings.is_https
        response.delete_cookie(_NOTICE, path=_path(customer), secure=is_https, httponly=True, samesite="strict")
    return response


@router.get("/progress", response_class=PlainTextResponse)
async def progress(context: OpenContext, customer: Customer) -> Response:
    """A short text that changes when the page would: a page that waits for something asks for it now and then."""
    return PlainTextResponse(_progress(customer.resource, context.clock()), headers={"Cache-Control": "no-store"})


@router.post("/config", dependencies=[GenuineForm, limited(CONFIG_LOOKS)], openapi_extra=_FORM)
async def config(request: Request, context: OpenContext, customer: Customer) -> Response:
    """The dashboard with the values of the config vars, this once."""
    try:
        _refuse_support(customer)
        values = await show_config(context, customer.resource.uuid, customer.name)
    except Refused as refused:
        return await _page(request, context, customer, 422, alert=refused.message)
    return await _page(request, context, customer, values=values)


@router.post("/rotate", dependencies=[GenuineForm, limited(CREDENTIAL_CHANGES)], openapi_extra=_FORM, **_LEADS_ON)
async def rotate(request: Request, context: OpenContext, customer: Customer) -> Response:
    """Begin a rotation."""
    try:
        _refuse_support(customer)
        await rotation.rotate(context, customer.resource.uuid, customer.name)
    except Refused as refused:
        return await _refusal(request, context, customer, refused)
    return _back(context, customer, "rotation")


@router.post("/retire", dependencies=[GenuineForm, limited(CREDENTIAL_CHANGES)], openapi_extra=_FORM, **_LEADS_ON)
async def retire(request: Request, context: OpenContext, customer: Customer) -> Response:
    """Do not wait for the end of a rotation."""
    try:
        _refuse_support(customer)
        await rotation.retire_now(context, customer.resource.uuid, customer.name)
    except Refused as refused:
        return await _refusal(request, context, customer, refused)
    return _back(context, customer, "retirement")


@router.post("/sign-out", dependencies=[GenuineForm], openapi_extra=_FORM)
async def leave(request: Request, context: OpenContext, customer: Customer) -> Response:
    """End the session, here and in every copy of the cookie."""
    response: Response
    if customer.is_support:
        await support.leave(context, customer.sign_in)
        response = RedirectResponse(f"/admin/resources/{customer.resource.uuid}", 303)
    else:
        await sign_out(context, customer.sign_in, customer.name)
        response = render(request, "signed_out.html")
    drop_session(response, resource=customer.resource.uuid, is_https=context.settings.is_https)
    return response


@router.get("/config", **_LEADS_ON)
@router.get("/rotate", **_LEADS_ON)
@router.get("/retire", **_LEADS_ON)
@router.get("/sign-out", **_LEADS_ON)
async def form_address(customer: Customer) -> Response:
    """A page that answers a form has the form's address: who opens that again, by hand or from a list, comes back."""
    return RedirectResponse(_path(customer), 303)


def _refuse_support(customer: SignedIn) -> None:
    if customer.is_support:
        raise Refused("Support looks at this dashboard and changes nothing on it; the panel has what support may do.")


def _path(customer: SignedIn) -> str:
    return f"/dashboard/{customer.resource.uuid}"


def _back(context: Context, customer: SignedIn, notice: str) -> Response:
    response = RedirectResponse(_path(customer), 303)
    response.headers["Cache-Control"] = "no-store"
    response.set_cookie(
        _NOTICE,
        notice,
        max_age=int(_NOTICE_LIFE.total_seconds()),
        path=_path(customer),
        secure=context.settings.is_https,
        httponly=True,
        samesite="strict",
    )
    return response


async def _refusal(request: Request, context: Context, customer: SignedIn, refused: Refused) -> Response:
    """The dashboard as it is now, with the reason: a colleague, or a second click, may just have changed it."""
    now = await signed_in(str(customer.resource.uuid), request, context)
    return await _page(request, context, now, 422, alert=refused.message)


async def _page(
    request: Request,
    context: Context,
    customer: SignedIn,
    status: int = 200,
    *,
    notice: str | None = None,
    alert: str | None = None,
    values: Mapping[str, str] | None = None,
) -> Response:
    resource = customer.resource
    now = context.clock()
    common = {
        "customer": customer,
        "resource": resource,
        "path": _path(customer),
        "form_token": request.app.state.form_signer.sign(str(customer.sign_in.id)),
        "session_ends_at": customer.ends_at,
        "progress": _progress(resource, now),
        "notice": notice,
        "alert": alert,
    }
    if resource.state is State.PROVISIONING:
        return render(request, "provisioning.html", status, **common)
    async with context.database.transaction() as session:
        measures = await usage_since(session, resource.uuid, now - MEMORY)
        events = await events_for_customer(session, resource.uuid)
    stage = _rotation(resource, now)
    plan = context.plans.get(resource.plan)  # one that was deleted from the code although somebody has it
    return render(
        request,
        "dashboard.html",
        status,
        **common,
        **_state(resource),
        addon_id=context.manifest.id,
        names=list(values or resource.config(context.keys)),
        values=values,
        bars=[bar(usage, now) for usage in measures],
        snippets=plan.driver.snippets() if plan is not None else (),
        rotation=stage,
        # Not while values are shown: they would go away by themselves. Nor for hours.
        is_watched=values is None and stage not in {Rotation.NONE, Rotation.OVERLAP, Rotation.HELD},
        overlap=ROTATION_OVERLAP,
        longest_hold=LONGEST_HOLD,
        rotate_every=plan.rotate_every if plan is not None else None,
        next_rotation_at=rotation.next_rotation_at(plan, resource),
        writes_end_at=None if resource.over_quota_at is None else resource.over_quota_at + GRACE,
        chart_since=now - MEMORY,
        events=events,
        program=lifecycle.PROGRAM,
    )


def _progress(resource: Resource, now: datetime) -> str:
    return f"{resource.state} {_rotation(resource, now)} {resource.pushed_version}/{resource.config_version}"


def _rotation(resource: Resource, now: datetime) -> Rotation:
    if resource.rotation_requested_at is not None:
        return Rotation.REQUESTED
    if resource.rotated_at is not None:
        return Rotation.WAITING
    if resource.retire_at is not None and resource.retirement_waits_for and resource.retirement_asked_at is None:
        return Rotation.HELD
    if resource.retire_at is not None:
        return Rotation.OVERLAP if now < resource.retire_at else Rotation.RETIRING
    return Rotation.NONE


def _state(resource: Resource) -> dict[str, Any]:
    """The state in words, and how good that is."""
    if resource.suspended_at is not None:
        return {"state_words": "Suspended", "state_level": "bad"}
    if resource.read_only_at is not None:
        return {"state_words": "Read-only: writes are refused", "state_level": "bad"}
    if resource.over_quota_at is not None:
        return {"state_words": "Over the plan's limit", "state_level": "warn"}
    return {"state_words": "Provisioned and ready", "state_level": "good"}
