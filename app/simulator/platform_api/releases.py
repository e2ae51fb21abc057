"""Releases: what an app ran with, and when."""

from typing import Any

from app.simulator.shapes import release_shape

from .call import Call, api


async def list_releases(call: Call) -> Any:
    app = call.app()
    return [release_shape(app, release) for release in app.releases]


ROUTES = [api("GET", "/apps/{app}/releases", list_releases, order=("version", "id"))]
