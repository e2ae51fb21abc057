"""The page that `heroku login` opens: who is it that logs in?"""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.errors import invalid
from app.simulator.oauth.authorizations import LOGIN_LIVES, authorize
from app.simulator.parts import parts

from .rendering import form, page, render


async def show_login(request: Request) -> Response:
    login = parts(request).logins.find(request.path_params["login"])
    return render(request, "login.html", login=login)


async def decide_login(request: Request, fields: Mapping[str, str]) -> str:
    """Give the command line a token of the person that was chosen; with no person it is told that nobody came."""
    known = parts(request)
    login = known.logins.find(request.path_params["login"])
    if not login.decided.is_set():
        person = fields.get("person", "")
        customer = known.world.customers.get(person)
        if person and customer is None:
            raise invalid("There is no such person.")
        if customer is not None:
            login.access_token = authorize(known.world, customer, login.description, lives=LOGIN_LIVES).token
        login.decided.set()
    return f"/marketplace/login/{login.id}/done"


async def show_done(request: Request) -> Response:
    return render(request, "logged_in.html")


def routes() -> list[Route]:
    return [
        Route("/marketplace/login/{login}", form(decide_login), methods=["POST"]),
        Route("/marketplace/login/{login}", page(show_login)),
        Route("/marketplace/login/{login}/done", page(show_done)),
    ]
