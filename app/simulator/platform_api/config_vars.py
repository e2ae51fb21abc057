"""An app's config vars: a customer's business, so an add-on's token is refused."""

from typing import Any

from app.simulator import app_config, releases

from .call import Call, api


async def get_config_vars(call: Call) -> Any:
    return call.world.config_vars(call.app())


async def change_config_vars(call: Call) -> Any:
    """Set what is named, remove what is null, leave the rest; the answer is all there is now."""
    app = call.app()
    app_config.change(call.world, app, await call.body(), by_email=call.email)
    return call.world.config_vars(app)


async def get_release_config_vars(call: Call) -> Any:
    return releases.config_of(releases.find(call.app(), call.path["release"]))


ROUTES = [
    api("GET", "/apps/{app}/config-vars", get_config_vars, is_for_people=True),
    api("PATCH", "/apps/{app}/config-vars", change_config_vars, is_for_people=True),
    api("GET", "/apps/{app}/releases/{release}/config-vars", get_release_config_vars, is_for_people=True),
]
