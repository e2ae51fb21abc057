"""What programs ask of the simulator itself under `/simulator`: JSON in, JSON out, so that any language can test."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.simulator.errors import HerokuError, invalid
from app.simulator.parts import parts
from app.simulator.recording import Endpoint
from app.simulator.records import Exchange


def for_programs(endpoint: Endpoint) -> Endpoint:
    """Turn a HerokuError into its JSON."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except HerokuError as error:
            return JSONResponse(error.body, error.status)

    return answer


async def list_exchanges(request: Request) -> Response:
    """Serve the exchanges in the order in which they ended, secrets masked.

    `?since=` is the id of an exchange that was seen already, or a time: what came after it is listed. `?addon=` is an
    add-on's id, `?direction=` one of the directions a fault may have.
    """
    query = request.query_params
    found = _since(parts(request).world.exchanges, query.get("since", ""))
    for name, wanted in (("addon_id", query.get("addon")), ("direction", query.get("direction"))):
        if wanted:
            found = [one for one in found if getattr(one, name) == wanted]
    return JSONResponse([_as_json(one) for one in found])


def _since(exchanges: list[Exchange], since: str) -> list[Exchange]:
    if not since:
        return list(exchanges)
    place = next((place for place, one in enumerate(exchanges) if one.id == since), None)
    if place is not None:
        return exchanges[place + 1 :]
    try:
        moment = datetime.fromisoformat(since.replace(" ", "+"))  # a + that was not percent-encoded arrives as a space
        return [one for one in exchanges if one.at > moment]
    except (TypeError, ValueError):  # the first for a time without its offset
        raise invalid("since is the id of a kept exchange, or a time with its offset: 2026-05-01T12:00:00Z.") from None


def _as_json(exchange: Exchange) -> dict[str, Any]:
    return {**asdict(exchange), "at": exchange.at.isoformat()}


def routes() -> list[Route]:
    return [Route("/simulator/exchanges", for_programs(list_exchanges))]
