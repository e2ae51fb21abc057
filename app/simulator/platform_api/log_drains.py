"""Log drains: a customer's, and those of add-ons.

The last part of a path is a drain's id, its token or its URL; the Heroku CLI sends the URL with its slashes encoded.
"""

from typing import Any

from app.simulator.logs import drains as log_drains
from app.simulator.logs.records import LogDrain
from app.simulator.shapes import log_drain_shape
from app.simulator.verdicts import hint

from .call import Call, api


async def list_on_app(call: Call) -> Any:
    return [log_drain_shape(call.world, drain) for drain in _seen_on_app(call)]


async def get_on_app(call: Call) -> Any:
    return log_drain_shape(call.world, log_drains.find(_seen_on_app(call), call.path["drain"]))


async def add(call: Call) -> Any:
    app, body = call.app(), await call.body()
    drain = log_drains.add(call.world, app, body.get("url"), addon=call.caller.addon)
    return log_drain_shape(call.world, drain)


async def remove(call: Call) -> Any:
    drain = log_drains.find(_seen_on_app(call), call.path["drain"])
    shape = log_drain_shape(call.world, drain)
    log_drains.remove(call.world, drain, by=call.caller.addon)
    return shape


async def list_of_addon(call: Call) -> Any:
    return [log_drain_shape(call.world, drain) for drain in log_drains.drains_of(call.world, call.addon())]


async def move(call: Call) -> Any:
    """Let the partner's drain lead elsewhere, as when its credentials change."""
    drain = log_drains.find(log_drains.drains_of(call.world, call.own_addon()), call.path["drain"])
    body = await call.body()
    log_drains.move(call.world, drain, body.get("url"))
    if drain.url.startswith("http:"):
        call.request.state.findings.append(hint("The drain's URL should be https: logs tell much about an app."))
    return log_drain_shape(call.world, drain)


def _seen_on_app(call: Call) -> list[LogDrain]:
    """List an app's drains as the caller may see them: an add-on sees its own only."""
    own = call.caller.addon
    drains = log_drains.drains_on(call.world, call.app())
    return [drain for drain in drains if own is None or drain.addon_id == own.id]


ROUTES = [
    api("GET", "/apps/{app}/log-drains", list_on_app),
    api("POST", "/apps/{app}/log-drains", add, status=201),
    api("GET", "/apps/{app}/log-drains/{drain:path}", get_on_app),
    api("DELETE", "/apps/{app}/log-drains/{drain:path}", remove),
    api("GET", "/addons/{addon}/log-drains", list_of_addon),
    api("PUT", "/addons/{addon}/log-drains/{drain:path}", move),
]
