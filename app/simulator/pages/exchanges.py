"""The record of every exchange with the add-on: which to look at, and one in full."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.curl import curl_command
from app.simulator.errors import not_found
from app.simulator.faults import DIRECTIONS
from app.simulator.parts import parts
from app.simulator.records import Exchange

from .rendering import latest_first, page, render

_SHOWN_EXCHANGES = 100
_VERDICTS = {"": "All", "problems": "Problems", "hints": "Problems and hints"}
_LEVELS = {"problems": {"problem"}, "hints": {"problem", "hint"}}


@dataclass(frozen=True)
class Filter:
    """Which exchanges to show; an empty field lets all pass."""

    only: str = ""
    direction: str = ""
    addon: str = ""

    def of(self, exchanges: Iterable[Exchange]) -> list[Exchange]:
        return [one for one in exchanges if self._lets_pass(one)]

    def _lets_pass(self, exchange: Exchange) -> bool:
        levels = _LEVELS.get(self.only)
        return (
            (levels is None or any(finding.level in levels for finding in exchange.findings))
            and (not self.direction or exchange.direction == self.direction)
            and (not self.addon or exchange.addon_id == self.addon)
        )


async def show_exchanges(request: Request) -> Response:
    world = parts(request).world
    chosen = Filter(**{name: request.query_params.get(name, "") for name in ("only", "direction", "addon")})
    found = chosen.of(latest_first(world.exchanges))
    seen = {one.addon_id for one in world.exchanges}
    query = {name: value for name, value in asdict(chosen).items() if value}
    return render(
        request,
        "exchanges.html",
        exchanges=found[:_SHOWN_EXCHANGES],
        hidden_count=len(found[_SHOWN_EXCHANGES:]),
        chosen=chosen,
        is_filtered=bool(query),
        live_path=f"/marketplace/exchanges?{urlencode({**query, 'live': ''})}",
        verdicts=_VERDICTS,
        directions=DIRECTIONS,
        addons=[one for one in world.addons.values() if one.id in seen],
    )


async def show_exchange(request: Request) -> Response:
    world = parts(request).world
    found = next((one for one in world.exchanges if one.id == request.path_params["exchange"]), None)
    if found is None:
        raise not_found("exchange; only the latest are kept")
    beside = latest_first(one for one in world.exchanges if one.addon_id == found.addon_id)
    place = beside.index(found)
    return render(
        request,
        "exchange.html",
        exchange=found,
        addon=world.addons.get(found.addon_id or ""),
        curl=curl_command(found, world.offer.slug),
        later=beside[place - 1] if place else None,
        earlier=beside[place + 1] if place + 1 < len(beside) else None,
    )


def routes() -> list[Route]:
    return [
        Route("/marketplace/exchanges", page(show_exchanges)),
        Route("/marketplace/exchanges/{exchange}", page(show_exchange)),
    ]
