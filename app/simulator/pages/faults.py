"""Trouble to order: the page, and the same as JSON."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.simulator.faults import DIRECTIONS, KINDS, Fault, fault_arguments
from app.simulator.forms import read_json
from app.simulator.parts import parts

from .programs import for_programs
from .rendering import form, page, render

_PATH = "/marketplace/faults"
# One click for what every add-on must survive; the form below them orders anything else.
_USUAL = (
    ("The next provision arrives twice at once", {"kind": "duplicate", "method": "POST"}),
    ("The answer to the next provision is lost", {"kind": "lost_answer", "method": "POST"}),
    ("The customer removes the add-on while it is provisioned", {"kind": "deprovision"}),
    ("The next plan change is overtaken by the next call", {"kind": "reorder", "method": "PUT", "seconds": "30"}),
    ("The next access token has expired", {"kind": "expire_token", "direction": "platform"}),
    ("The platform API answers 503 three times", {"kind": "error", "direction": "platform", "count": "3"}),
    ("The platform API says 429, wait 30 s", {"kind": "rate_limit", "direction": "platform", "seconds": "30"}),
    ("The token endpoint drops the connection", {"kind": "drop", "direction": "tokens"}),
)


async def show_faults(request: Request) -> Response:
    pending = parts(request).faults.pending
    return render(request, "faults.html", pending=pending, kinds=KINDS, directions=DIRECTIONS, usual=_USUAL)


async def order_fault(request: Request, fields: Mapping[str, str]) -> str:
    parts(request).faults.add(**fault_arguments(fields))
    return _PATH


async def clear_faults(request: Request, fields: Mapping[str, str]) -> str:  # noqa: ARG001 - all form handlers alike
    parts(request).faults.clear()
    return _PATH


async def faults_as_json(request: Request) -> Response:
    """Serve `/simulator/faults`: GET lists what is pending, POST orders one, DELETE clears them."""
    faults = parts(request).faults
    if request.method == "DELETE":
        faults.clear()
    elif request.method == "POST":
        return JSONResponse(_as_json(faults.add(**fault_arguments(await read_json(request)))), 201)
    return JSONResponse([_as_json(fault) for fault in faults.pending])


def _as_json(fault: Fault) -> dict[str, Any]:
    return dict(vars(fault))


def routes() -> list[Route]:
    return [
        Route(_PATH, form(order_fault), methods=["POST"]),
        Route(_PATH, page(show_faults)),
        Route(f"{_PATH}/clear", form(clear_faults), methods=["POST"]),
        Route("/simulator/faults", for_programs(faults_as_json), methods=["GET", "POST", "DELETE"]),
    ]
