"""`heroku login` through a browser: what the command line asks of HEROKU_LOGIN_HOST.

The command line begins a log-in, opens the page that the answer names, and asks for the outcome until it is there. The
answer waits for the person; after some time it is 503, upon which the command line asks again.
"""

import asyncio
import hmac
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.simulator.errors import HerokuError, unauthorized
from app.simulator.forms import read_json
from app.simulator.oauth.credentials import token_of
from app.simulator.oauth.logins import Login
from app.simulator.parts import parts
from app.simulator.recording import recorded

_ANSWERS_WITHIN_SECONDS = 25
_LONGEST_DESCRIPTION = 200


async def begin_login(request: Request) -> Response:
    description: Any = (await read_json(request)).get("description")
    text = description if isinstance(description, str) and description.strip() else "Heroku CLI login"
    login = parts(request).logins.begin(text[:_LONGEST_DESCRIPTION])
    return JSONResponse(
        {
            "browser_url": f"/marketplace/login/{login.id}",
            "cli_url": f"/auth/{login.id}",
            "token": login.token,
        },
        201,
        {"Cache-Control": "no-store"},
    )


async def tell_outcome(request: Request) -> Response:
    known = parts(request)
    login = known.logins.find(request.path_params["login"])
    if not hmac.compare_digest(token_of(request).encode(), login.token.encode()):
        raise unauthorized()
    if not await _is_decided(login, asyncio.ensure_future(known.sleep(_ANSWERS_WITHIN_SECONDS))):
        raise HerokuError(503, "not_yet", "Nobody has logged in yet. Ask again.")
    known.logins.end(login)
    if login.access_token is None:
        return JSONResponse({"error": "The login was cancelled."})
    return JSONResponse({"access_token": login.access_token}, headers={"Cache-Control": "no-store"})


async def _is_decided(login: Login, pause: "asyncio.Future[None]") -> bool:
    decided = asyncio.ensure_future(login.decided.wait())
    try:
        await asyncio.wait((decided, pause), return_when=asyncio.FIRST_COMPLETED)
    finally:
        decided.cancel()
        pause.cancel()
    return login.decided.is_set()


ROUTES = [
    Route("/auth", recorded(lambda _: "customer", begin_login), methods=["POST"]),
    Route("/auth/{login}", recorded(lambda _: "customer", tell_outcome), methods=["GET"]),
]
