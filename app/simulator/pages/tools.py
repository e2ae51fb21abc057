"""The developer's pages: faults to order, the clock, and the people of this world."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.simulator.errors import HerokuError, invalid
from app.simulator.faults import DIRECTIONS, KINDS, Fault, fault_arguments
from app.simulator.forms import read_json
from app.simulator.parts import parts

from .rendering import form, page, render


async def show_faults(request: Request) -> Response:
    pending = parts(request).faults.pending
    return render(request, "faults.html", pending=pending, kinds=KINDS, directions=DIRECTIONS)


async def order_fault(request: Request, fields: Mapping[str, str]) -> str:
    parts(request).faults.add(**fault_arguments(fields))
    return "/marketplace/faults"


async def clear_faults(request: Request, fields: Mapping[str, str]) -> str:  # noqa: ARG001 - all form handlers alike
    parts(request).faults.clear()
    return "/marketplace/faults"


async def show_clock(request: Request) -> Response:
    world = parts(request).world
    waiting = sorted(world.pending_deletes.values(), key=lambda one: one.next_at)
    return render(request, "clock.html", waiting=waiting)


async def move_clock(request: Request, fields: Mapping[str, str]) -> str:
    """Move the clock, then do at once what the new time brings."""
    known = parts(request)
    try:
        by = timedelta(minutes=int(fields.get("minutes", "")))
    except (ValueError, OverflowError):
        raise invalid("The clock moves by a whole number of minutes.") from None
    if by > timedelta(days=366):
        raise invalid("The clock moves by a year at most.")
    known.world.move_clock(by)
    await known.catch_up()
    return "/marketplace/clock"


async def set_rotation(request: Request, fields: Mapping[str, str]) -> str:
    world = parts(request).world
    world.rotates_refresh_tokens = fields.get("rotates") == "yes"
    world.changed()
    return "/marketplace/people"


async def show_people(request: Request) -> Response:
    return render(request, "people.html", url=parts(request).url)


async def faults_as_json(request: Request) -> Response:
    """Serve `/simulator/faults`: GET lists what is pending, POST orders one, DELETE clears them."""
    faults = parts(request).faults
    try:
        if request.method == "DELETE":
            faults.clear()
        elif request.method == "POST":
            fault = faults.add(**fault_arguments(await read_json(request)))
            return JSONResponse(_as_json(fault), 201)
    except HerokuError as error:
        return JSONResponse({"id": error.id, "message": error.message}, error.status)
    return JSONResponse([_as_json(fault) for fault in faults.pending])


def _as_json(fault: Fault) -> dict[str, Any]:
    return dict(vars(fault))


def routes() -> list[Route]:
    return [
        Route("/marketplace/faults", form(order_fault), methods=["POST"]),
        Route("/marketplace/faults", page(show_faults)),
        Route("/marketplace/faults/clear", form(clear_faults), methods=["POST"]),
        Route("/marketplace/clock", form(move_clock), methods=["POST"]),
        Route("/marketplace/clock", page(show_clock)),
        Route("/marketplace/people", page(show_people)),
        Route("/marketplace/people/rotation", form(set_rotation), methods=["POST"]),
        Route("/simulator/faults", faults_as_json, methods=["GET", "POST", "DELETE"]),
    ]
