"""The pages of a customer's apps: all of them, and one with what is attached to it."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.simulator.parts import parts
from app.simulator.records import App

from .rendering import form, page, render

_SHOWN_RELEASES = 8
_SHOWN_ACTIVITY = 15


def app_of(request: Request) -> App:
    return parts(request).world.app(request.path_params["app"])


def app_path(app: App) -> str:
    return f"/marketplace/apps/{app.name}"


async def show_start(request: Request) -> Response:  # noqa: ARG001 - Starlette passes it
    return RedirectResponse("/marketplace", 302)


async def show_apps(request: Request) -> Response:
    return render(request, "apps.html")


async def show_app(request: Request) -> Response:
    world, app = parts(request).world, app_of(request)
    return render(
        request,
        "app.html",
        app=app,
        config_vars=world.config_vars(app),
        releases=app.releases[: -_SHOWN_RELEASES - 1 : -1],
        activity=[line for line in world.activity if line.app_id == app.id][: -_SHOWN_ACTIVITY - 1 : -1],
    )


async def create_app(request: Request, fields: Mapping[str, str]) -> str:
    region = fields.get("region") or parts(request).offer.app_regions[0]
    return app_path(parts(request).world.create_app(fields.get("name", "").strip(), region=region))


def routes() -> list[Route]:
    one_app = "/marketplace/apps/{app}"
    return [
        Route("/", show_start),
        Route("/marketplace", page(show_apps)),
        Route("/marketplace/apps", form(create_app), methods=["POST"]),
        Route(one_app, page(show_app)),
    ]
