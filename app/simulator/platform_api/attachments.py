"""Attachments: which app sees which add-on, under which name."""

from typing import Any

from app.simulator.shapes import attachment_shape

from .call import Call, api


async def list_attachments(call: Call) -> Any:
    world = call.world
    found = [one for one in world.attachments.values() if call.caller.may_see_addon(world, world.addons[one.addon_id])]
    return [attachment_shape(world, one, call.url) for one in found]


async def list_addon_attachments(call: Call) -> Any:
    return [attachment_shape(call.world, one, call.url) for one in call.world.attachments_of(call.addon())]


async def list_app_attachments(call: Call) -> Any:
    app, world = call.app(), call.world
    found = [one for one in world.attachments_on(app) if call.caller.may_see_addon(world, world.addons[one.addon_id])]
    return [attachment_shape(world, one, call.url) for one in found]


ROUTES = [
    api("GET", "/addon-attachments", list_attachments, order=("id", "name")),
    api("GET", "/addons/{addon}/addon-attachments", list_addon_attachments, order=("id", "name")),
    api("GET", "/apps/{app}/addon-attachments", list_app_attachments, order=("id", "name")),
]
