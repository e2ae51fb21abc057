"""Coming in and leaving."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.context import Context
from app.errors import Refused, Unauthorized
from app.operators import sessions
from app.web.admin.access import (
    COOKIE,
    PATH,
    GenuineForm,
    SignedIn,
    browser_of,
    read_form,
    safe_wanted,
)
from app.web.dependencies import OpenContext, refuse_other_sites
from app.web.pages import render

router = APIRouter()


@router.get("/sign-in")
async def show(request: Request, context: OpenContext, wanted: Annotated[str, Query(alias="next")] = PATH) -> Response:
    """The form; who is signed in already goes on."""
    try:
        await sessions.resume(context, request.cookies.get(COOKIE, ""))
    except Unauthorized:
        return _page(request, wanted)
    return RedirectResponse(safe_wanted(wanted), 303)


@router.post("/sign-in")
async def sign_in(request: Request, context: OpenContext) -> Response:
    """303 to where the operator wanted to go."""
    refuse_other_sites(request, context)
    form = await read_form(request)
    browser = browser_of(request, context)
    try:
        operator = await sessions.prove_password(context, form.get("email", ""), form.get("password", ""), browser)
    except Refused as refused:
        return _page(request, form.get("next", PATH), 422, alert=refused.message, email=form.get("email", ""))
    token = await sessions.begin(context, operator, browser, "password")
    response = RedirectResponse(safe_wanted(form.get("next", PATH)), 303)
    response.headers["Cache-Control"] = "no-store"
    set_session(response, context, token)
    return response


@router.post("/sign-out", dependencies=[GenuineForm])
async def sign_out(context: OpenContext, operator: SignedIn) -> Response:
    """End this session, here and in every copy of its cookie."""
    await sessions.revoke(context, operator.actor, operator.session.id)
    response = RedirectResponse(f"{PATH}/sign-in", 303)
    response.delete_cookie(COOKIE, path=PATH, secure=context.settings.is_https, httponly=True, samesite="lax")
    return response


def set_session(response: Response, context: Context, token: str) -> None:
    """Let the browser carry the session."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(sessions.LIFE.total_seconds()),
        path=PATH,
        secure=context.settings.is_https,
        httponly=True,
        samesite="lax",
    )


def _page(request: Request, wanted: str, status: int = 200, *, alert: str | None = None, email: str = "") -> Response:
    return render(request, "admin/sign_in.html", status, wanted=safe_wanted(wanted), alert=alert, email=email)
