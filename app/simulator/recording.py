"""What add-ons and tools call: recorded, given the trouble ordered for it, answered in Heroku's words."""

import contextlib
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import httpx2
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from .errors import HerokuError
from .exchanges import Message, record_exchange
from .faults import Fault
from .oauth.credentials import resource_of
from .parts import parts
from .records import AddOn, Direction
from .troubles import strike
from .verdicts import note, on_hold
from .world import World

Endpoint = Callable[[Request], Awaitable[Response]]
About = Callable[[World, Request], Awaitable[AddOn | None]]


async def _sender(world: World, request: Request) -> AddOn | None:
    return resource_of(world, request)


def recorded(direction_of: Callable[[Request], Direction], endpoint: Endpoint, *, about: About = _sender) -> Endpoint:
    """Wrap an endpoint that others call: trouble on order, errors as Heroku's JSON, and a line in the record.

    The endpoint may put what it notices into `request.state.findings` and the add-on's id into
    `request.state.addon_id`, where that of `about` is already: by default the add-on whose access token was sent.
    """

    async def answer(request: Request) -> Response:
        # All of it is there before anything is looked up: who sends slowly must not act on what is gone by then.
        body = await request.body()
        world, faults = parts(request).world, parts(request).faults
        direction = direction_of(request)
        addon = await about(world, request)
        addon_id = addon.id if addon else None
        request.state.findings, request.state.addon_id = [], addon_id
        fault = faults.take(direction, request.method, request.url.path, without={"duplicate"})
        at, started = world.now(), time.perf_counter()
        seconds = 0.0
        if fault is not None:
            request.state.findings.append(note(f"Fault: {fault}."))
        if fault is not None and fault.kind == "slow":
            await parts(request).sleep(fault.seconds)
            seconds = fault.seconds
            started = time.perf_counter()
        elif fault is not None and fault.kind == "reorder":
            is_overtaken = await faults.hold(fault, addon_id, parts(request).sleep)
            request.state.findings.append(on_hold(is_overtaken=is_overtaken))
        elif fault is not None:
            strike(world, fault, addon)
        response = _refused_by(fault) or await _answered(endpoint, request)
        faults.passed(direction, addon_id)
        is_seen = fault is None or fault.kind not in {"drop", "lost_answer"}
        record_exchange(
            world,
            direction=direction,
            method=request.method,
            url=str(request.url),
            request=Message(request.headers, body),
            status=response.status_code if is_seen else None,
            answer=Message(response.headers, bytes(response.body)) if is_seen else None,
            at=at,
            seconds=seconds + time.perf_counter() - started,
            findings=request.state.findings,
            addon_id=request.state.addon_id,
        )
        return response if is_seen else _Dropped()

    return answer


async def _answered(endpoint: Endpoint, request: Request) -> Response:
    request_id = request.headers.get("request-id") or str(uuid4())
    try:
        response = await endpoint(request)
    except HerokuError as error:
        response = JSONResponse(error.body, error.status, error.headers)
    response.headers["Request-Id"] = request_id
    return response


def _refused_by(fault: Fault | None) -> Response | None:
    if fault is None or not fault.is_in_the_way:
        return None
    if fault.kind == "rate_limit":
        body = {"id": "rate_limit", "message": "Your account reached the API rate limit."}
        return JSONResponse(body, 429, {"Retry-After": f"{fault.seconds:g}", "RateLimit-Remaining": "0"})
    return JSONResponse({"id": "unavailable", "message": "This fault was ordered."}, fault.status)


class _Dropped(Response):
    """Close the connection without a byte of an answer, as a proxy does whose other side has died."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        # ASGI has no word for it. A server refuses a header's name that cannot be, after which no answer but a closed
        # connection is left to it; a transport without a server, as in tests, gets the exception that a client sees.
        with contextlib.suppress(RuntimeError):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"no name", b"")]})
            raise httpx2.RemoteProtocolError("The simulator dropped this connection: a fault was ordered.")
