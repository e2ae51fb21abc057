"""Heroku's clock: the page that moves it, what the moved time will bring, and the same as JSON."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.simulator.calls import PROVISIONING_ENDS_AFTER
from app.simulator.errors import invalid
from app.simulator.forms import read_json
from app.simulator.parts import Parts, parts
from app.simulator.world import World

from .programs import for_programs
from .rendering import form, page, render

_PATH = "/marketplace/clock"
_MOVES = ((5, "5 minutes"), (60, "1 hour"), (8 * 60, "8 hours"), (12 * 60, "12 hours"), (3 * 24 * 60, "3 days"))
_FARTHEST = timedelta(days=366)
_FARTHEST_IN_ALL = timedelta(days=36_600)
_SHOWN = 20


@dataclass(frozen=True)
class Coming:
    """Something that happens when the clock reaches `at`; `minutes` from now, rounded up."""

    at: datetime
    what: str
    minutes: int


async def show_clock(request: Request) -> Response:
    world = parts(request).world
    coming = sorted(
        (Coming(at, what, math.ceil((at - world.now()) / timedelta(minutes=1))) for at, what in _coming(world)),
        key=lambda one: (one.at, one.what),
    )
    return render(request, "clock.html", coming=coming[:_SHOWN], moves=_MOVES)


def _coming(world: World) -> Iterator[tuple[datetime, str]]:
    for pending in world.pending_deletes.values():
        name = world.addons[pending.addon_id].name
        yield pending.next_at, f"DELETE of {name} is sent again; it was sent {_times(pending.attempts)}"
    for addon in world.installed():
        if addon.state == "provisioning":
            yield addon.created_at + PROVISIONING_ENDS_AFTER, f"{addon.name} is removed unless it is provisioned"
        ends = [one.expires_at for one in world.access_tokens.values() if one.addon_id == addon.id]
        if ends and max(ends) > world.now():
            yield max(ends), f"the access token of {addon.name} expires"
    for grant in world.grants.values():
        if grant.used_at is None and grant.expires_at > world.now():
            yield grant.expires_at, f"the grant of {world.addons[grant.addon_id].name} expires, never used"
    for delivery in world.webhook_deliveries.values():
        if delivery.next_attempt_at is not None and not delivery.is_finished:
            yield delivery.next_attempt_at, f"a webhook is sent again; it was sent {_times(delivery.num_attempts)}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


async def move_clock(request: Request, fields: Mapping[str, str]) -> str:
    try:
        minutes = int(fields.get("minutes", ""))
    except ValueError:
        raise invalid("The clock moves by a whole number of minutes.") from None
    await _move(parts(request), minutes)
    return _PATH


async def clock_as_json(request: Request) -> Response:
    """Serve `/simulator/clock`: GET tells the time, POST `{"minutes": 5}` or `{"hours": 12}` moves it forward."""
    world = parts(request).world
    if request.method == "POST":
        await _move(parts(request), _minutes_in(await read_json(request)))
    return JSONResponse({"now": world.now().isoformat(), "offset_seconds": world.clock_offset.total_seconds()})


def _minutes_in(body: dict[str, Any]) -> float:
    units = {"minutes": 1, "hours": 60}
    if not body or body.keys() - units.keys():
        raise invalid('The body must be {"minutes": n} or {"hours": n}.')
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in body.values()):
        raise invalid("The clock moves by a number of minutes or hours.")
    minutes: float = sum(value * units[name] for name, value in body.items())
    return minutes


async def _move(known: Parts, minutes: float) -> None:
    """Move the clock, then do at once what the new time brings."""
    try:
        by = timedelta(minutes=minutes)
    except (OverflowError, ValueError):  # the second for a number that is none
        by = timedelta.max
    if by > _FARTHEST:
        raise invalid("The clock moves by a year at most.")
    if known.world.clock_offset + by > _FARTHEST_IN_ALL:
        raise invalid("The clock is moved by a hundred years at most: begin a new world.")
    known.world.move_clock(by)
    await known.catch_up()


def routes() -> list[Route]:
    return [
        Route(_PATH, form(move_clock), methods=["POST"]),
        Route(_PATH, page(show_clock)),
        Route("/simulator/clock", for_programs(clock_as_json), methods=["GET", "POST"]),
    ]
