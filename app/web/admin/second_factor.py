"""One's own second factor: an authenticator app and recovery codes."""

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from app.context import Context
from app.errors import Refused
from app.operators import second_factor, signing_in
from app.operators.sessions import SignedInOperator
from app.web.admin.access import PATH, GenuineForm, Newcomer, Viewer, browser_of, read_form
from app.web.admin.pages import back, render_page
from app.web.dependencies import OpenContext

router = APIRouter(prefix="/account/second-factor")

_PAGE = f"{PATH}/account/second-factor"


@router.get("")
async def show(request: Request, context: OpenContext, operator: Newcomer) -> Response:
    """Whether it is on; while it is set up, what to tell the authenticator app."""
    return _page(request, context, operator)


@router.post("/prepare", dependencies=[GenuineForm])
async def prepare(request: Request, context: OpenContext, operator: Newcomer) -> Response:
    """Make up a secret; the page shows it."""
    await second_factor.prepare(context, operator.actor)
    return back(request, operator, _PAGE, "Now add it to your app, and prove it with a code.")


@router.post("/confirm", dependencies=[GenuineForm])
async def confirm(request: Request, context: OpenContext, operator: Newcomer) -> Response:
    """Turn it on. The recovery codes are on this one answer and nowhere else, so nothing is redirected."""
    form = await read_form(request)
    try:
        codes = await second_factor.confirm(context, operator.actor, form.get("code", ""))
    except Refused as refused:
        return _page(request, context, operator, 422, alert=refused.message)
    return render_page(request, operator, "admin/recovery_codes.html", codes=codes, is_set_up=True)


@router.post("/recovery-codes", dependencies=[GenuineForm])
async def renew_codes(request: Request, context: OpenContext, operator: Viewer) -> Response:
    """New recovery codes, on this one answer."""
    try:
        await _prove(request, context, operator)
        codes = await second_factor.renew_codes(context, operator.actor)
    except Refused as refused:
        return _page(request, context, operator, 422, alert=refused.message)
    return render_page(request, operator, "admin/recovery_codes.html", codes=codes, is_set_up=False)


@router.post("/turn-off", dependencies=[GenuineForm])
async def turn_off(request: Request, context: OpenContext, operator: Viewer) -> Response:
    """Let the password alone do again."""
    try:
        await _prove(request, context, operator)
        await second_factor.turn_off(context, operator.actor, operator.operator.id)
    except Refused as refused:
        return _page(request, context, operator, 422, alert=refused.message)
    return back(request, operator, f"{PATH}/account", "Your second factor is off. Your password alone lets you in.")


async def _prove(request: Request, context: Context, operator: SignedInOperator) -> None:
    proof = (await read_form(request)).get("proof", "")
    await signing_in.prove_again(context, operator.operator, proof, browser_of(request, context))


def _page(
    request: Request, context: Context, operator: SignedInOperator, status: int = 200, *, alert: str | None = None
) -> Response:
    waiting = second_factor.waiting(context, operator.operator)
    return render_page(
        request,
        operator,
        "admin/second_factor.html",
        status,
        alert=alert,
        secret=" ".join(waiting.secret[i : i + 4] for i in range(0, len(waiting.secret), 4)) if waiting else None,
        picture=_picture(waiting.provisioning_uri()) if waiting else None,
        is_needed=context.settings.operators_need_totp,
    )


def _picture(uri: str) -> Markup:
    """A QR code as SVG, by attributes alone: the pages allow no style of their own. White also in the dark."""
    import segno  # noqa: PLC0415 - few processes ever draw one

    # segno's own words and our numbers: nothing in it is what somebody typed
    return Markup(segno.make(uri, error="m", micro=False).svg_inline(omitsize=True, light="#fff", border=3))  # noqa: S704 # nosec B704
