"""The people of this world, and what is agreed with the partner: how refresh tokens, grants and secrets are handled."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.simulator.oauth.service_secret import reset_client_secret
from app.simulator.parts import parts

from .programs import for_programs
from .rendering import form, page, render

_PATH = "/marketplace/people"


async def show_people(request: Request) -> Response:
    return render(request, "people.html", url=parts(request).url)


async def set_rotation(request: Request, fields: Mapping[str, str]) -> str:
    world = parts(request).world
    world.rotates_refresh_tokens = fields.get("rotates") == "yes"
    world.changed()
    return _PATH


async def set_reissue(request: Request, fields: Mapping[str, str]) -> str:
    world = parts(request).world
    world.oauth.reissues_grants = fields.get("reissues") == "yes"
    world.changed()
    return _PATH


async def reset_secret(request: Request, fields: Mapping[str, str]) -> str:  # noqa: ARG001 - all form handlers alike
    reset_client_secret(parts(request).world)
    return _PATH


async def reset_secret_as_json(request: Request) -> Response:
    """Serve `POST /simulator/client-secret`: the new secret is in the answer."""
    secret = reset_client_secret(parts(request).world)
    return JSONResponse({"client_secret": secret}, 201, {"Cache-Control": "no-store"})


def routes() -> list[Route]:
    return [
        Route(_PATH, page(show_people)),
        Route(f"{_PATH}/rotation", form(set_rotation), methods=["POST"]),
        Route(f"{_PATH}/reissue", form(set_reissue), methods=["POST"]),
        Route(f"{_PATH}/client-secret", form(reset_secret), methods=["POST"]),
        Route("/simulator/client-secret", for_programs(reset_secret_as_json), methods=["POST"]),
    ]
