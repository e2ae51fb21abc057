"""Add-ons: reading them, and the partner's two actions."""

from typing import Any

from app.simulator.errors import invalid
from app.simulator.shapes import addon_shape
from app.simulator.verdicts import hint

from .call import Call, api


async def list_addons(call: Call) -> Any:
    found = [addon for addon in call.world.installed() if call.caller.may_see_addon(call.world, addon)]
    return [addon_shape(call.world, addon, call.url, call.expand) for addon in found]


async def list_app_addons(call: Call) -> Any:
    app, world = call.app(), call.world
    found = [one for one in world.installed() if one.app_id == app.id and call.caller.may_see_addon(world, one)]
    return [addon_shape(world, addon, call.url, call.expand) for addon in found]


async def get_addon(call: Call) -> Any:
    return addon_shape(call.world, call.addon(), call.url, call.expand)


async def finish_provisioning(call: Call) -> Any:
    addon = call.own_addon()
    if addon.state == "provisioned":
        call.request.state.findings.append(hint("The add-on was provisioned already."))
    call.world.mark_provisioned(addon)
    return addon_shape(call.world, addon, call.url)


async def give_up_provisioning(call: Call) -> Any:
    """Let the partner say that an add-on will not come to be; its token dies with this call."""
    addon = call.own_addon()
    if addon.state != "provisioning":
        raise invalid("Only an add-on that is still being provisioned can be marked as deprovisioned.")
    call.world.remove(addon, "the add-on's partner could not create it.")
    return addon_shape(call.world, addon, call.url)


ROUTES = [
    api("GET", "/addons", list_addons, order=("id", "name")),
    api("GET", "/addons/{addon}", get_addon),
    api("POST", "/addons/{addon}/actions/provision", finish_provisioning),
    api("POST", "/addons/{addon}/actions/deprovision", give_up_provisioning),
    api("GET", "/apps/{app}/addons", list_app_addons, order=("id", "name")),
    api("GET", "/apps/{app}/addons/{addon}", get_addon),
]
