"""Who may sign in, and what they may do: for owners."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from app.context import Context
from app.errors import Refused
from app.operators import accounts, openid, passwords, second_factor, sessions
from app.operators import models as tables
from app.operators.roles import Role
from app.operators.sessions import SignedInOperator
from app.web.admin.access import PATH, GenuineForm, Owner, read_form
from app.web.admin.pages import back, render_page
from app.web.dependencies import OpenContext

router = APIRouter(prefix="/operators")

_PAGE = f"{PATH}/operators"
# There it takes a proof, which whoever finds an open browser does not have.
_ONESELF = "Change your own password and second factor on the page of your account."


@router.get("")
async def show_all(request: Request, context: OpenContext, operator: Owner) -> Response:
    """Everybody, and the form that adds somebody."""
    return await _list(request, context, operator)


@router.post("", dependencies=[GenuineForm])
async def add(request: Request, context: OpenContext, operator: Owner) -> Response:
    """A new account. Its one-time password is on this one answer, so nothing is redirected."""
    form = await read_form(request)
    password = None if form.get("comes_by") == "openid" and context.open_id is not None else passwords.made_up()
    try:
        added = await accounts.add(
            context,
            operator.actor,
            email=form.get("email", ""),
            name=form.get("name", ""),
            role=_role(form.get("role", "")),
            password=password,
            is_temporary=True,
        )
    except Refused as refused:
        return await _list(request, context, operator, 422, alert=refused.message, form=form)
    if password is None:
        return back(request, operator, _PAGE, f"{added.email} can sign in by OpenID Connect, as {added.role.word}.")
    return render_page(request, operator, "admin/one_time_password.html", of=added, password=password, is_new=True)


@router.get("/{operator_id}")
async def show(request: Request, context: OpenContext, operator: Owner, operator_id: UUID) -> Response:
    """One of them."""
    return await _one(request, context, operator, operator_id)


@router.post("/{operator_id}/role", dependencies=[GenuineForm])
async def change_role(request: Request, context: OpenContext, operator: Owner, operator_id: UUID) -> Response:
    """Let them do more, or less."""
    form = await read_form(request)
    try:
        role = _role(form.get("role", ""))
        await accounts.change_role(context, operator.actor, operator_id, role, reason=form.get("reason"))
    except Refused as refused:
        return await _one(request, context, operator, operator_id, 422, alert=refused.message)
    return back(request, operator, _after(operator, operator_id, role), f"The role is {role.word} now.")


@router.post("/{operator_id}/disable", dependencies=[GenuineForm])
async def disable(request: Request, context: OpenContext, operator: Owner, operator_id: UUID) -> Response:
    """End the account and its sessions."""
    form = await read_form(request)
    try:
        await accounts.disable(context, operator.actor, operator_id, reason=form.get("reason"))
    except Refused as refused:
        return await _one(request, context, operator, operator_id, 422, alert=refused.message)
    return back(request, operator, f"{_PAGE}/{operator_id}", "The account is disabled and its sessions have ended.")


@router.post("/{operator_id}/enable", dependencies=[GenuineForm])
async def enable(request: Request, context: OpenContext, operator: Owner, operator_id: UUID) -> Response:
    """Let them in again."""
    await accounts.enable(context, operator.actor, operator_id, reason=(await read_form(request)).get("reason"))
    return back(request, operator, f"{_PAGE}/{operator_id}", "The account is enabled again.")


@router.post("/{operator_id}/password", dependencies=[GenuineForm])
async def reset_password(request: Request, context: OpenContext, operator: Owner, operator_id: UUID) -> Response:
    """A one-time password, on this one answer."""
    if operator_id == operator.operator.id:
        return await _one(request, context, operator, operator_id, 422, alert=_ONESELF)
    password = passwords.made_up()
    await accounts.set_password(context, operator.actor, operator_id, password, is_temporary=True)
    of = await _found(context, operator_id)
    return render_page(request, operator, "admin/one_time_password.html", of=of, password=password, is_new=False)


@router.post("/{operator_id}/second-factor", dependencies=[GenuineForm])
async def reset_second_factor(request: Request, context: OpenContext, operator: Owner, operator_id: UUID) -> Response:
    """For who has lost the app and the recovery codes."""
    if operator_id == operator.operator.id:
        return await _one(request, context, operator, operator_id, 422, alert=_ONESELF)
    await second_factor.turn_off(context, operator.actor, operator_id)
    return back(request, operator, f"{_PAGE}/{operator_id}", "The second factor is off. The password alone does.")


@router.post("/{operator_id}/openid", dependencies=[GenuineForm])
async def unbind(request: Request, context: OpenContext, operator: Owner, operator_id: UUID) -> Response:
    """For who has got another identity at the OpenID provider."""
    await openid.unbind(context, operator.actor, operator_id)
    return back(request, operator, f"{_PAGE}/{operator_id}", "The next OpenID sign-in with this address counts.")


@router.post("/{operator_id}/sessions/end-all", dependencies=[GenuineForm])
async def end_sessions(request: Request, context: OpenContext, operator: Owner, operator_id: UUID) -> Response:
    """Sign them out everywhere."""
    await sessions.revoke_all(context, operator.actor, operator_id)
    return back(request, operator, f"{_PAGE}/{operator_id}", "All sessions have ended.")


@router.post("/{operator_id}/sessions/{session_id}/end", dependencies=[GenuineForm])
async def end_session(
    request: Request, context: OpenContext, operator: Owner, operator_id: UUID, session_id: UUID
) -> Response:
    """Sign out one of their browsers."""
    await sessions.revoke(context, operator.actor, session_id)
    return back(request, operator, f"{_PAGE}/{operator_id}", "The session has ended.")


def _role(text: str) -> Role:
    try:
        return Role[text.upper()]
    except KeyError:
        raise Refused("A role is viewer, support, operator or owner.") from None


def _after(operator: SignedInOperator, operator_id: UUID, role: Role) -> str:
    """Where an owner goes on: who has just given the role away may not look at operators any more."""
    is_leaving = operator_id == operator.operator.id and role < Role.OWNER
    return PATH if is_leaving else f"{_PAGE}/{operator_id}"


async def _found(context: Context, operator_id: UUID) -> tables.Operator:
    found = await accounts.get(context, operator_id)
    if found is None:
        raise HTTPException(404)
    return found


async def _list(
    request: Request,
    context: Context,
    operator: SignedInOperator,
    status: int = 200,
    *,
    alert: str | None = None,
    form: dict[str, str] | None = None,
) -> Response:
    return render_page(
        request,
        operator,
        "admin/operators.html",
        status,
        alert=alert,
        form=form or {},
        everybody=await accounts.everybody(context),
        seen=await sessions.last_seen(context),
        has_open_id=context.open_id is not None,
    )


async def _one(
    request: Request,
    context: Context,
    operator: SignedInOperator,
    operator_id: UUID,
    status: int = 200,
    *,
    alert: str | None = None,
) -> Response:
    of = await _found(context, operator_id)
    return render_page(
        request,
        operator,
        "admin/operator.html",
        status,
        alert=alert,
        of=of,
        sessions=await sessions.alive(context, operator_id),
        current=operator.session.id,
    )
