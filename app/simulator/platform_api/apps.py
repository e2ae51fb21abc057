"""Apps, their people and their config vars."""

from typing import Any

from app.simulator.errors import forbidden
from app.simulator.shapes import app_shape, collaborator_shape

from .call import Call, api


async def list_apps(call: Call) -> Any:
    found = [app for app in call.world.apps.values() if call.caller.may_see_app(call.world, app)]
    return [app_shape(call.world, app, call.url) for app in found]


async def get_app(call: Call) -> Any:
    return app_shape(call.world, call.app(), call.url)


async def list_collaborators(call: Call) -> Any:
    app = call.app()
    return [collaborator_shape(app, customer) for customer in call.world.people_of(app)]


async def get_config_vars(call: Call) -> Any:
    """Return every config var of the app: a customer's business, so an add-on's token is refused."""
    app = call.app()
    if call.caller.customer is None:
        raise forbidden("An add-on may read its own config vars, not the app's.")
    return call.world.config_vars(app)


ROUTES = [
    api("GET", "/apps", list_apps, order=("id", "name")),
    api("GET", "/apps/{app}", get_app),
    api("GET", "/apps/{app}/collaborators", list_collaborators),
    api("GET", "/apps/{app}/config-vars", get_config_vars),
]
