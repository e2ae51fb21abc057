"""The marketplace's page of the add-on: its plans and prices, as customers find it."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.simulator.parts import parts

from .apps import app_path
from .rendering import page, render


async def show_catalog(request: Request) -> Response:
    return render(request, "catalog.html")


async def choose_plan(request: Request) -> Response:
    """Go on to the page that installs the chosen plan on the chosen app."""
    app = parts(request).world.app(request.query_params.get("app", ""))
    plan = request.query_params.get("plan", "")
    return RedirectResponse(f"{app_path(app)}/install?{urlencode({'plan': plan})}", 303)


def routes() -> list[Route]:
    return [
        Route("/marketplace/catalog", page(show_catalog)),
        Route("/marketplace/catalog/install", page(choose_plan)),
    ]
