"""Dynos, the formation they come from, and their sizes."""

from datetime import timedelta
from typing import Any

from app.simulator import dynos
from app.simulator.catalogue import DYNO_SIZES
from app.simulator.errors import invalid, not_found
from app.simulator.names import PROCESS_TYPE
from app.simulator.process_shapes import dyno_shape, dyno_size_shape, formation_shape
from app.simulator.records import App, Process

from .call import Call, api

_LONGEST_RUN = timedelta(hours=24)


async def list_dynos(call: Call) -> Any:
    app = call.app()
    return [dyno_shape(app, dyno) for dyno in app.dynos]


async def get_dyno(call: Call) -> Any:
    app = call.app()
    return dyno_shape(app, dynos.find(app, call.path["dyno"]))


async def run_dyno(call: Call) -> Any:
    """Start a one-off dyno. Being attached to it would need a program that runs: that is refused."""
    app, body = call.app(), await call.body()
    command, process_type, size = (body.get(key) for key in ("command", "type", "size"))
    if not isinstance(command, str) or not command.strip():
        raise invalid("Name the command to run.")
    if body.get("attach"):
        raise invalid("The simulator runs no programs to attach to: run the command detached.")
    if not isinstance(process_type, str | None) or not isinstance(size, str | None):
        raise invalid("The type and the size of a dyno are strings.")
    if process_type and not PROCESS_TYPE.fullmatch(process_type):
        raise invalid("The type of a dyno has only letters, digits, dashes and underscores, at most 63.")
    dyno = dynos.run(
        call.world,
        app,
        command,
        process_type=process_type or "run",
        size=size,
        lives=_lifetime(body.get("time_to_live")),
    )
    return dyno_shape(app, dyno)


async def restart_dynos(call: Call) -> Any:
    app = call.app()
    dynos.restart(call.world, app, app.dynos)
    return {}


async def end_dyno(call: Call) -> Any:
    """Restart or stop one dyno: either way one of the formation comes back, and a one-off dyno does not."""
    app = call.app()
    dynos.restart(call.world, app, [dynos.find(app, call.path["dyno"])])
    return {}


async def end_dynos_of_type(call: Call) -> Any:
    app = call.app()
    dynos.restart(call.world, app, dynos.of_type(app, call.path["type"]))
    return {}


async def list_formation(call: Call) -> Any:
    app = call.app()
    return [formation_shape(app, process) for process in app.formation]


async def get_process(call: Call) -> Any:
    app = call.app()
    return formation_shape(app, dynos.process(app, call.path["process"]))


async def scale_formation(call: Call) -> Any:
    """Carry out `{"updates": [{"type": "web", "quantity": 2, "size": "Standard-2X"}]}`, all of it or nothing."""
    app, body = call.app(), await call.body()
    updates = body.get("updates")
    if not isinstance(updates, list) or not all(isinstance(update, dict) for update in updates):
        raise invalid('The body must be {"updates": [{"type": ..., "quantity": ...}]}.')
    orders = [_order(app, update, str(update.get("type") or update.get("id"))) for update in updates]
    dynos.scale(call.world, app, orders, by_email=call.email)
    return [formation_shape(app, process) for process in app.formation]


async def scale_process(call: Call) -> Any:
    app, body = call.app(), await call.body()
    order = _order(app, body, call.path["process"])
    dynos.scale(call.world, app, [order], by_email=call.email)
    return formation_shape(app, order[0])


def _order(app: App, update: dict[str, Any], ref: str) -> tuple[Process, object, object]:
    """Read one line of an order; the size comes as `size` from older clients, else as `dyno_size`."""
    size = update.get("size") or update.get("dyno_size")
    return dynos.process(app, ref), update.get("quantity"), size.get("name") if isinstance(size, dict) else size


def _lifetime(seconds: Any) -> timedelta:
    if seconds is None:
        return _LONGEST_RUN
    if not isinstance(seconds, int) or not 0 < seconds <= _LONGEST_RUN.total_seconds():
        raise invalid("The time_to_live is a number of seconds, at most a day.")
    return timedelta(seconds=seconds)


async def list_sizes(call: Call) -> Any:  # noqa: ARG001 - all handlers are alike
    return [dyno_size_shape(size) for size in DYNO_SIZES]


async def list_app_sizes(call: Call) -> Any:
    call.app()
    return await list_sizes(call)


async def get_size(call: Call) -> Any:
    for shape in await list_sizes(call):
        if call.path["size"].lower() in {shape["id"], shape["name"].lower()}:
            return shape
    raise not_found("dyno size")


ROUTES = [
    api("GET", "/apps/{app}/dynos", list_dynos, order=("name", "id")),
    api("POST", "/apps/{app}/dynos", run_dyno, status=201, is_for_people=True),
    api("DELETE", "/apps/{app}/dynos", restart_dynos, status=202, is_for_people=True),
    api("GET", "/apps/{app}/dynos/{dyno}", get_dyno),
    api("DELETE", "/apps/{app}/dynos/{dyno}", end_dyno, status=202, is_for_people=True),
    api("POST", "/apps/{app}/dynos/{dyno}/actions/stop", end_dyno, status=202, is_for_people=True),
    api("DELETE", "/apps/{app}/formations/{type}", end_dynos_of_type, status=202, is_for_people=True),
    api("POST", "/apps/{app}/formations/{type}/actions/stop", end_dynos_of_type, status=202, is_for_people=True),
    api("GET", "/apps/{app}/formation", list_formation, order=("type", "id")),
    api("PATCH", "/apps/{app}/formation", scale_formation, order=("type", "id"), is_for_people=True),
    api("GET", "/apps/{app}/formation/{process}", get_process),
    api("PATCH", "/apps/{app}/formation/{process}", scale_process, is_for_people=True),
    api("GET", "/apps/{app}/available-dyno-sizes", list_app_sizes, order=("name", "id")),
    api("GET", "/dyno-sizes", list_sizes, order=("name", "id"), is_public=True),
    api("GET", "/dyno-sizes/{size}", get_size, is_public=True),
]
