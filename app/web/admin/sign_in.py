"""Coming in with a password, and a code where there is a second factor; leaving."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.context import Context
from app.errors import Refused, Unauthorized
from app.operators import accounts, sessions, signing_in
from app.operators.models import Operator
from app.operators.sessions import Method
from app.web.admin.access import COOKIE, PATH, GenuineForm, Newcomer, browser_of, read_form, safe_wanted
from app.web.dependencies import OpenContext, refuse_other_sites
from app.web.pages import render

router = APIRouter()


@router.get("/sign-in")
async def show(request: Request, context: OpenContext, wanted: Annotated[str, Query(alias="next")] = PATH) -> Response:
    """The form; who is signed in already goes on."""
    try:
        await sessions.resume(context, request.cookies.get(COOKIE, ""))
    except Unauthorized:
        return await sign_in_page(request, context, wanted)
    return RedirectResponse(safe_wanted(wanted), 303)


@router.post("/sign-in")
async def sign_in(request: Request, context: OpenContext) -> Response:
    """303 to where the operator wanted to go, or the page that asks for the code."""
    refuse_other_sites(request, context)
    form = await read_form(request)
    email, wanted = form.get("email", ""), form.get("next", PATH)
    try:
        operator = await signing_in.prove_password(
            context, email, form.get("password", ""), browser_of(request, context)
        )
    except Refused as refused:
        return await sign_in_page(request, context, wanted, 422, alert=refused.message, email=email)
    if operator.totp_confirmed_at is not None:
        return _code_page(request, request.app.state.second_step_signer.sign(signing_in.first_step(operator)), wanted)
    return await come_in(request, context, operator, Method.PASSWORD, wanted)


@router.post("/sign-in/code")
async def second_step(request: Request, context: OpenContext) -> Response:
    """303 to where the operator wanted to go. The form carries the proof that the password was right."""
    refuse_other_sites(request, context)
    form = await read_form(request)
    step, wanted = form.get("step", ""), form.get("next", PATH)
    proved = request.app.state.second_step_signer.value(step)
    if proved is None:
        alert = "That took too long. Please sign in again."
        return await sign_in_page(request, context, wanted, 422, alert=alert)
    try:
        operator = await signing_in.prove_code(context, proved, form.get("code", ""), browser_of(request, context))
    except Refused as refused:
        return _code_page(request, step, wanted, 422, alert=refused.message)
    return await come_in(request, context, operator, Method.PASSWORD_AND_CODE, wanted)


@router.post("/sign-out", dependencies=[GenuineForm])
async def sign_out(context: OpenContext, operator: Newcomer) -> Response:
    """End this session, here and in every copy of its cookie."""
    await sessions.revoke(context, operator.actor, operator.session.id)
    response = RedirectResponse(f"{PATH}/sign-in", 303)
    response.headers["Cache-Control"] = "no-store"
    response.delete_cookie(COOKIE, path=PATH, secure=context.settings.is_https, httponly=True, samesite="lax")
    return response


async def come_in(request: Request, context: Context, operator: Operator, method: Method, wanted: str) -> Response:
    """Begin a session, under a token that nobody has seen before, and go where the operator wanted to go."""
    before = request.cookies.get(COOKIE, "")
    token = await sessions.begin(context, operator, browser_of(request, context), method, before=before)
    response = RedirectResponse(safe_wanted(wanted), 303)
    response.headers["Cache-Control"] = "no-store"
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(sessions.LIFE.total_seconds()),
        path=PATH,
        secure=context.settings.is_https,
        httponly=True,
        samesite="lax",
    )
    return response


async def sign_in_page(
    request: Request,
    context: Context,
    wanted: str,
    status: int = 200,
    *,
    alert: str | None = None,
    email: str = "",
) -> Response:
    """The form, with what went wrong before."""
    return render(
        request,
        "admin/sign_in.html",
        status,
        wanted=safe_wanted(wanted),
        alert=alert,
        email=email,
        is_first=not await accounts.is_anybody(context),
        open_id=context.open_id.host if context.open_id is not None else None,
    )


def _code_page(request: Request, step: str, wanted: str, status: int = 200, *, alert: str | None = None) -> Response:
    return render(request, "admin/sign_in_code.html", status, step=step, wanted=safe_wanted(wanted), alert=alert)
