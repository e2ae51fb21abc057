"""Releases: what an app ran with, and when; going back to one."""

from typing import Any

from app.simulator import releases
from app.simulator.errors import invalid
from app.simulator.shapes import release_shape

from .call import Call, api


async def list_releases(call: Call) -> Any:
    app = call.app()
    return [release_shape(app, release) for release in app.releases]


async def get_release(call: Call) -> Any:
    app = call.app()
    return release_shape(app, releases.find(app, call.path["release"]))


async def create_release(call: Call) -> Any:
    """Roll back to `{"release": id or version}`. Heroku takes a slug here as well; the simulator has no code to run."""
    app, body = call.app(), await call.body()
    if body.get("release") is None:
        raise invalid("Name the release to roll back to; a simulated app has no slugs to release.")
    return release_shape(app, releases.roll_back(call.world, app, body["release"], by_email=call.email))


ROUTES = [
    api("GET", "/apps/{app}/releases", list_releases, order=("version", "id")),
    api("GET", "/apps/{app}/releases/{release}", get_release),
    api("POST", "/apps/{app}/releases", create_release, status=201, is_for_people=True),
]
