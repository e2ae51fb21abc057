"""How an operators' page is made: the frame around it, times in the operator's zone, and what it says once."""

from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup, escape

from app.operators import sessions
from app.operators.roles import Role
from app.operators.sessions import SignedInOperator
from app.web.admin.access import PATH
from app.web.pages import render

# What stands in the navigation: address, words, and the role that sees it.
_NAVIGATION: Final = (
    (PATH, "Overview", Role.VIEWER),
    (f"{PATH}/resources", "Resources", Role.VIEWER),
    (f"{PATH}/batches", "Batches", Role.VIEWER),
    (f"{PATH}/plans", "Plans", Role.VIEWER),
    (f"{PATH}/reconciliation", "Reconciliation", Role.VIEWER),
    (f"{PATH}/alerts", "Alerts", Role.VIEWER),
    (f"{PATH}/webhooks", "Webhooks", Role.VIEWER),
    (f"{PATH}/audit", "Audit log", Role.VIEWER),
    (f"{PATH}/operators", "Operators", Role.OWNER),
)
_NOTICE: Final = "operator-notice"
_NOTICE_SECONDS: Final = 60


def render_page(
    request: Request, operator: SignedInOperator, template: str, status: int = 200, **values: Any
) -> Response:
    """A page of the panel; `template` extends `admin/base.html`."""
    zone = ZoneInfo(operator.operator.time_zone)
    due = sessions.due(request.app.state.context, operator)
    notice = request.app.state.operator_form_signer.value(request.cookies.get(_NOTICE, "")) or ""
    owner, _, words = notice.partition(":")
    response = render(
        request,
        template,
        status,
        me=operator.operator,
        role=operator.operator.role,
        roles=Role,
        due=due,
        navigation=[] if due else [page[:2] for page in _NAVIGATION if operator.operator.role >= page[2]],
        path=request.url.path,
        form_token=request.app.state.operator_form_signer.sign(str(operator.session.id)),
        now=request.app.state.context.clock(),
        when=lambda at: _time(at, zone),
        notice=words if owner == str(operator.session.id) else None,
        **values,
    )
    if _NOTICE in request.cookies:
        is_https = request.app.state.context.settings.is_https
        response.delete_cookie(_NOTICE, path=PATH, secure=is_https, httponly=True, samesite="strict")
    return response


def back(request: Request, operator: SignedInOperator, to: str, notice: str) -> Response:
    """303 to a page of the panel, which says `notice` once."""
    response = RedirectResponse(to, 303)
    response.headers["Cache-Control"] = "no-store"
    response.set_cookie(
        _NOTICE,
        request.app.state.operator_form_signer.sign(f"{operator.session.id}:{notice}"),
        max_age=_NOTICE_SECONDS,
        path=PATH,
        secure=request.app.state.context.settings.is_https,
        httponly=True,
        samesite="strict",
    )
    return response


def _time(at: datetime | None, zone: ZoneInfo) -> Markup:
    """A time in the operator's zone, with the exact UTC for whoever points at it; a dash where there is none."""
    if at is None:
        return Markup('<span class="dim">never</span>')
    here = at.astimezone(zone)
    words = f"{here:%d %b %Y, %H:%M}".lstrip("0")
    exact = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    iso = at.astimezone(UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}" title="{}" data-exact>{}</time>').format(
        escape(iso), escape(exact), escape(words)
    )
