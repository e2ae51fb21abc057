"""An app's log: its latest lines, something to print into it, and how its drains fare."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.errors import invalid
from app.simulator.logs import app_output
from app.simulator.logs import drains as log_drains
from app.simulator.logs.drain_state import DrainState
from app.simulator.logs.records import LogDrain
from app.simulator.masking import masked_url
from app.simulator.names import PROCESS_NAME
from app.simulator.parts import Parts, parts
from app.simulator.records import AddOn, App

from .apps import app_of, app_path
from .rendering import form, page, render

_SHOWN_LINES = 200
_MOST_PRINTED = 2000
_LONGEST_TEXT = 10_000


@dataclass(frozen=True)
class _ShownDrain:
    """A drain with its URL as it may be seen, and the add-on it belongs to, if to any."""

    drain: LogDrain
    url: str
    addon: AddOn | None
    state: DrainState
    is_silent: bool


async def show_logs(request: Request) -> Response:
    known, app = parts(request), app_of(request)
    lines = known.logs.of(app)
    return render(
        request,
        "logs.html",
        app=app,
        lines=lines[-_SHOWN_LINES:],
        hidden_count=len(lines[:-_SHOWN_LINES]),
        drains=[_shown(known, drain) for drain in log_drains.drains_on(known.world, app)],
    )


def _shown(known: Parts, drain: LogDrain) -> _ShownDrain:
    addon = known.world.addons.get(drain.addon_id or "")
    state = known.log_deliveries.state(drain)
    return _ShownDrain(drain, masked_url(drain.url), addon, state, not known.log_deliveries.reaches(drain))


async def print_lines(request: Request, fields: Mapping[str, str]) -> str:
    """Print a text some times, numbered when it is more than once, or let the app be visited."""
    known, app = parts(request), app_of(request)
    count = _count(fields.get("count", "1"))
    if fields.get("what") == "visit":
        for _ in range(count):
            app_output.visit(known.logs, app)
        return f"{app_path(app)}/logs"
    text, process = fields.get("text", "").strip()[:_LONGEST_TEXT], fields.get("process", "").strip() or "web.1"
    if not text:
        raise invalid("Say what is to be printed.")
    if not PROCESS_NAME.fullmatch(process):
        raise invalid("A process is called like web.1 or worker.")
    for number in range(1, count + 1):
        known.logs.write(app, "app", process, text if count == 1 else f"{text} {number}")
    return f"{app_path(app)}/logs"


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= _MOST_PRINTED:
        raise invalid(f"The number of lines is 1 to {_MOST_PRINTED}.")
    return int(text)


async def add_drain(request: Request, fields: Mapping[str, str]) -> str:
    app = app_of(request)
    log_drains.add(parts(request).world, app, fields.get("url", "").strip())
    return f"{app_path(app)}/logs"


async def remove_drain(request: Request, fields: Mapping[str, str]) -> str:
    world, app = parts(request).world, app_of(request)
    log_drains.remove(world, _drain(request, app, fields), by=None)
    return f"{app_path(app)}/logs"


def _drain(request: Request, app: App, fields: Mapping[str, str]) -> LogDrain:
    return log_drains.find(log_drains.drains_on(parts(request).world, app), fields.get("drain", ""))


def routes() -> list[Route]:
    logs = "/marketplace/apps/{app}/logs"
    return [
        Route(logs, form(print_lines), methods=["POST"]),
        Route(logs, page(show_logs)),
        Route(f"{logs}/drains", form(add_drain), methods=["POST"]),
        Route(f"{logs}/drains/remove", form(remove_drain), methods=["POST"]),
    ]
