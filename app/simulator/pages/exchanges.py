"""The record of every exchange with the add-on: which to look at, and one in full."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.errors import not_found
from app.simulator.parts import parts

from .rendering import latest_first, page, render

_SHOWN_EXCHANGES = 100


async def show_exchanges(request: Request) -> Response:
    only_problems = request.query_params.get("only") == "problems"
    exchanges = [
        one
        for one in latest_first(parts(request).world.exchanges)
        if not only_problems or any(finding.level == "problem" for finding in one.findings)
    ]
    return render(request, "exchanges.html", exchanges=exchanges[:_SHOWN_EXCHANGES], only_problems=only_problems)


async def show_exchange(request: Request) -> Response:
    world = parts(request).world
    found = next((one for one in world.exchanges if one.id == request.path_params["exchange"]), None)
    if found is None:
        raise not_found("exchange; only the latest are kept")
    addon = world.addons.get(found.addon_id or "")
    return render(request, "exchange.html", exchange=found, addon=addon)


def routes() -> list[Route]:
    return [
        Route("/marketplace/exchanges", page(show_exchanges)),
        Route("/marketplace/exchanges/{exchange}", page(show_exchange)),
    ]
