"""Coming in by the partner's OpenID provider: away to it with a state that this browser alone holds, and back."""

import hmac
import json
import secrets
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from app.context import Context
from app.errors import Refused, Retry
from app.oidc import OpenId
from app.operators import openid
from app.operators.sessions import Method
from app.web.admin.access import PATH, safe_wanted
from app.web.admin.sign_in import come_in, sign_in_page
from app.web.cookies import OPEN_ID_LIFE
from app.web.dependencies import OpenContext

router = APIRouter(prefix="/sign-in/openid")

_log = structlog.get_logger(__name__)
_COOKIE: Final = "operator-openid"
_COOKIE_PATH: Final = f"{PATH}/sign-in/openid"
_UNREACHABLE: Final = "Your OpenID provider cannot be reached just now. Please try again in a moment."


@router.get("")
async def leave(request: Request, context: OpenContext, wanted: Annotated[str, Query(alias="next")] = PATH) -> Response:
    """303 to the provider. What proves on the way back that it is the same browser goes into a cookie of its own."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    try:
        url = await _open_id(context).authorization_url(state=state, nonce=nonce, verifier=verifier)
    except Retry as retry:
        return await _unreachable(request, context, wanted, retry)
    kept = json.dumps({"state": state, "nonce": nonce, "verifier": verifier, "wanted": safe_wanted(wanted)})
    response = RedirectResponse(url, 303)
    response.headers["Cache-Control"] = "no-store"
    response.set_cookie(
        _COOKIE,
        request.app.state.open_id_signer.sign(kept),
        max_age=int(OPEN_ID_LIFE.total_seconds()),
        path=_COOKIE_PATH,
        secure=context.settings.is_https,
        httponly=True,
        samesite="lax",  # the way back is a link on another site
    )
    return response


@router.get("/callback")
async def come_back(
    request: Request, context: OpenContext, state: str = "", code: str = "", error: str = "", iss: str | None = None
) -> Response:
    """303 to where the operator wanted to go, or the sign-in page with what is wrong. What the cookie held is spent."""
    kept = json.loads(request.app.state.open_id_signer.value(request.cookies.get(_COOKIE, "")) or "{}")
    wanted = kept.get("wanted", PATH)
    try:
        response = await _identified(request, context, kept, state=state, code=code, error=error, issuer=iss)
    except Refused as refused:
        response = await sign_in_page(request, context, wanted, 422, alert=refused.message)
    except Retry as retry:
        response = await _unreachable(request, context, wanted, retry)
    response.delete_cookie(_COOKIE, path=_COOKIE_PATH, secure=context.settings.is_https, httponly=True, samesite="lax")
    return response


async def _identified(
    request: Request,
    context: Context,
    kept: dict[str, str],
    *,
    state: str,
    code: str,
    error: str,
    issuer: str | None,
) -> Response:
    provider = _open_id(context)
    if not kept or not hmac.compare_digest(kept["state"].encode(), state.encode("utf-8", "replace")):
        raise Refused("This sign-in was begun in another browser, used before, or too long ago. Please sign in again.")
    if error:
        _log.warning("the OpenID provider refused", error=error[:100])
        if error == "access_denied":
            raise Refused("Your OpenID provider did not let you in.")
        raise Refused("Your OpenID provider could not sign you in. Please try again, or ask an owner.")
    identity = await provider.identify(code=code, verifier=kept["verifier"], nonce=kept["nonce"], issuer=issuer)
    operator = await openid.operator_of(context, identity)
    return await come_in(request, context, operator, Method.OPEN_ID, kept["wanted"])


def _open_id(context: Context) -> OpenId:
    if context.open_id is None:
        raise HTTPException(404)
    return context.open_id


async def _unreachable(request: Request, context: Context, wanted: str, retry: Retry) -> Response:
    _log.warning("OpenID sign-in failed", reason=str(retry))
    return await sign_in_page(request, context, wanted, 503, alert=_UNREACHABLE)
