"""The resolvers: a customer's word in, the one add-on or attachment out, as a list of exactly one."""

from typing import Any

from app.simulator.errors import not_found
from app.simulator.records import App
from app.simulator.shapes import addon_shape, attachment_shape

from .call import Call, api
from .references import find_addon, find_attachment, reference_in, required, visible_app


async def resolve_addon(call: Call) -> Any:
    body = await call.body()
    ref = required(reference_in(body, "addon"), "addon")
    if reference_in(body, "addon_service") not in {None, call.offer.slug}:
        raise not_found("add-on")
    addon = find_addon(call, ref, _app_in(call, body))
    return [addon_shape(call.world, addon, call.url, call.expand)]


async def resolve_attachment(call: Call) -> Any:
    body = await call.body()
    ref = required(reference_in(body, "addon_attachment"), "addon_attachment")
    if reference_in(body, "addon_service") not in {None, call.offer.slug}:
        raise not_found("add-on attachment")
    attachment = find_attachment(call, ref, _app_in(call, body))
    return [attachment_shape(call.world, attachment, call.url, call.include)]


def _app_in(call: Call, body: dict[str, Any]) -> App | None:
    ref = reference_in(body, "app")
    return None if ref is None else visible_app(call, ref)


ROUTES = [
    api("POST", "/actions/addons/resolve", resolve_addon),
    api("POST", "/actions/addon-attachments/resolve", resolve_attachment),
]
