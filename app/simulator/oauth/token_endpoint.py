"""The token endpoint: a grant or a refresh token in, an access token for one resource out.

Stands for `https://id.heroku.com/oauth/token`. A grant lives five minutes and works once; an access token lives eight
hours, unless the world is told otherwise; a refresh token as long as the add-on, unless it is told to rotate them.
"""

import hmac
from datetime import timedelta
from urllib.parse import parse_qsl
from uuid import NAMESPACE_DNS, uuid4, uuid5

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.simulator.errors import HerokuError, forbidden, not_found, unauthorized
from app.simulator.forms import read_fields
from app.simulator.parts import parts
from app.simulator.recording import recorded
from app.simulator.records import AccessToken, AddOn, RefreshToken
from app.simulator.verdicts import hint, problem
from app.simulator.world import World

from .credentials import is_partner
from .grants import grant_shape, new_grant

# More than an add-on can use of one resource: what refreshes in an endless loop must not fill the memory.
_MOST_LIVING = 1000


async def issue_token(request: Request) -> Response:
    world, offer = parts(request).world, parts(request).offer
    fields = await _fields(request)
    if request.url.query:
        request.state.findings.append(problem("Secrets in the query string end up in logs: send a form body."))
    if not hmac.compare_digest(fields.get("client_secret", "").encode(), offer.client_secret.encode()):
        request.state.findings.append(problem("The client_secret is missing or wrong."))
        raise unauthorized("Invalid client secret.")
    grant_type = fields.get("grant_type")
    if grant_type == "authorization_code":
        addon, refresh = _spend_grant(request, world, fields.get("code", ""))
    elif grant_type == "refresh_token":
        addon, refresh = _spend_refresh_token(request, world, fields.get("refresh_token", ""))
    else:
        raise HerokuError(400, "bad_request", "grant_type must be authorization_code or refresh_token.")
    access = _new_access_token(world, addon)
    return JSONResponse(
        {
            "access_token": access.token,
            "refresh_token": refresh.token,
            "expires_in": int(world.oauth.access_token_lives.total_seconds()),
            "token_type": "Bearer",  # nosec B105 # a word of OAuth
            "user_id": str(uuid5(NAMESPACE_DNS, f"{offer.slug}.addons.heroku.com")),
            "session_nonce": None,
        },
        headers={"Cache-Control": "no-store"},
    )


async def _fields(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.url.query, keep_blank_values=True)) | await read_fields(request)


async def _resource_asked_for(world: World, request: Request) -> AddOn | None:
    """Find whose grant or refresh token was sent, also when it is good no more."""
    try:
        fields = await _fields(request)
    except HerokuError:
        return None
    sent = world.grants.get(fields.get("code", "")) or world.refresh_tokens.get(fields.get("refresh_token", ""))
    return None if sent is None else world.addons.get(sent.addon_id)


def _spend_grant(request: Request, world: World, code: str) -> tuple[AddOn, RefreshToken]:
    grant = world.grants.get(code)
    reason = None
    if grant is None:
        reason = "The grant is unknown, or its add-on is gone."
    elif grant.used_at is not None:
        reason = "The grant was used before: it works once."
    elif grant.expires_at <= world.now():
        reason = "The grant has expired: it lives five minutes."
    if grant is None or reason is not None:
        request.state.findings.append(problem(reason or ""))
        raise unauthorized(reason or "")
    grant.used_at = world.now()
    return world.addons[grant.addon_id], _new_refresh_token(world, grant.addon_id)


def _spend_refresh_token(request: Request, world: World, token: str) -> tuple[AddOn, RefreshToken]:
    refresh = world.refresh_tokens.get(token)
    if refresh is None:
        request.state.findings.append(problem("The refresh token is unknown, was rotated, or its add-on is gone."))
        raise unauthorized("Invalid refresh token.")
    latest = max(
        (one.expires_at for one in world.access_tokens.values() if one.addon_id == refresh.addon_id),
        default=world.now(),
    )
    if latest - world.now() > world.oauth.access_token_lives / 2:
        request.state.findings.append(hint("Refreshed although the access token has more than half its life left."))
    if world.rotates_refresh_tokens:
        del world.refresh_tokens[token]
        refresh = _new_refresh_token(world, refresh.addon_id)
    return world.addons[refresh.addon_id], refresh


def _new_access_token(world: World, addon: AddOn) -> AccessToken:
    for old in [one for one in world.access_tokens.values() if one.expires_at <= world.now() - timedelta(days=1)]:
        del world.access_tokens[old.token]
    for surplus in [one for one in world.access_tokens.values() if one.addon_id == addon.id][: 1 - _MOST_LIVING]:
        del world.access_tokens[surplus.token]
    access = AccessToken(f"HRKU-{uuid4()}", addon.id, world.now() + world.oauth.access_token_lives)
    world.access_tokens[access.token] = access
    world.changed()
    return access


def _new_refresh_token(world: World, addon_id: str) -> RefreshToken:
    refresh = RefreshToken(str(uuid4()), addon_id)
    world.refresh_tokens[refresh.token] = refresh
    return refresh


async def reissue_grant(request: Request) -> Response:
    """Give a partner who missed a grant's five minutes another one, if Heroku allowed this partner to ask."""
    world = parts(request).world
    if not is_partner(world, request):
        request.state.findings.append(problem("The manifest's id and password were not sent as Basic."))
        raise unauthorized()
    if not world.oauth.reissues_grants:
        raise forbidden("This add-on may not fetch grants again.")
    addon = world.addons.get(request.path_params["uuid"])
    if addon is None or addon.state == "deprovisioned":
        raise not_found("resource")
    request.state.addon_id = addon.id
    grant = new_grant(world, addon)
    world.changed()
    return JSONResponse(grant_shape(grant), headers={"Cache-Control": "no-store"})


def routes() -> list[Route]:
    return [
        Route("/oauth/token", recorded(lambda _: "tokens", issue_token, about=_resource_asked_for), methods=["POST"]),
        Route("/vendor/resources/{uuid}/oauth-grant", recorded(lambda _: "tokens", reissue_grant), methods=["GET"]),
    ]
