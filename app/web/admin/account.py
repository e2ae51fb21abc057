"""One's own account: name, time zone, password and sessions."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from app.context import Context
from app.errors import Refused
from app.operators import accounts, passwords, sessions, signing_in
from app.operators.sessions import Due, SignedInOperator
from app.web.admin.access import PATH, GenuineForm, Newcomer, Viewer, browser_of, read_form
from app.web.admin.pages import back, render_page
from app.web.dependencies import OpenContext

router = APIRouter(prefix="/account")

_PAGE = f"{PATH}/account"


@router.get("")
async def show(request: Request, context: OpenContext, operator: Newcomer) -> Response:
    """Everything about oneself; to who has a one-time password, only the form for one of their own."""
    return await _page(request, context, operator)


@router.post("/profile", dependencies=[GenuineForm])
async def set_profile(request: Request, context: OpenContext, operator: Viewer) -> Response:
    """Name and time zone."""
    form = await read_form(request)
    name, time_zone = form.get("name", ""), form.get("time_zone", "").strip()
    try:
        await accounts.set_profile(context, operator.actor, name=name, time_zone=time_zone)
    except Refused as refused:
        return await _page(request, context, operator, 422, alert=refused.message, name=name, time_zone=time_zone)
    return back(request, operator, _PAGE, "Saved.")


@router.post("/password", dependencies=[GenuineForm])
async def set_password(request: Request, context: OpenContext, operator: Newcomer) -> Response:
    """A new password, proved by the old one; a one-time password was typed a moment ago."""
    try:
        password = await _new_password(request, context, operator)
        await accounts.set_password(context, operator.actor, operator.operator.id, password, keep=operator.session.id)
    except Refused as refused:
        return await _page(request, context, operator, 422, alert=refused.message)
    return back(request, operator, _PAGE, "You have a new password. All other sessions have ended.")


@router.post("/sessions/end-others", dependencies=[GenuineForm])
async def end_other_sessions(request: Request, context: OpenContext, operator: Viewer) -> Response:
    """Sign out everywhere else."""
    await sessions.revoke_all(context, operator.actor, operator.operator.id, keep=operator.session.id)
    return back(request, operator, _PAGE, "All other sessions have ended.")


@router.post("/sessions/{session_id}/end", dependencies=[GenuineForm])
async def end_session(request: Request, context: OpenContext, operator: Viewer, session_id: UUID) -> Response:
    """Sign out one browser."""
    await sessions.revoke(context, operator.actor, session_id)
    return back(request, operator, _PAGE, "The session has ended.")


async def _new_password(request: Request, context: Context, operator: SignedInOperator) -> str:
    form = await read_form(request)
    password, stored = form.get("password", ""), operator.operator.password_hash
    if stored is None:
        raise Refused("You come in by OpenID Connect and have no password. An owner can give you one.")
    if password != form.get("repeated", ""):
        raise Refused("The two new passwords differ. Please type them again.")
    if sessions.due(context, operator) is not Due.PASSWORD:
        await signing_in.prove_again(context, operator.operator, form.get("current", ""), browser_of(request, context))
    elif await passwords.matches(password, stored):
        raise Refused("That is the one-time password. Choose another one.")
    return password


async def _page(
    request: Request,
    context: Context,
    operator: SignedInOperator,
    status: int = 200,
    *,
    alert: str | None = None,
    name: str | None = None,
    time_zone: str | None = None,
) -> Response:
    me = operator.operator
    return render_page(
        request,
        operator,
        "admin/account.html",
        status,
        alert=alert,
        name=name if name is not None else me.name,
        time_zone=time_zone if time_zone is not None else me.time_zone,
        time_zones=sorted(accounts.time_zones()),
        sessions=await sessions.alive(context, me.id),
        current=operator.session.id,
        shortest=passwords.SHORTEST,
        longest=passwords.LONGEST,
    )
