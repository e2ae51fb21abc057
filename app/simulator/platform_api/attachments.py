"""Attachments: which app sees which add-on, under which name."""

from typing import Any

from app.simulator import attaching
from app.simulator.errors import invalid, not_found
from app.simulator.records import Attachment
from app.simulator.shapes import Shape, attachment_shape

from .call import Call, api
from .references import find_addon, reference_in, required, text_in, visible_app


async def list_attachments(call: Call) -> Any:
    return _shapes(call, list(call.world.attachments.values()))


async def list_addon_attachments(call: Call) -> Any:
    return _shapes(call, call.world.attachments_of(call.addon()))


async def list_app_attachments(call: Call) -> Any:
    return _shapes(call, call.world.attachments_on(call.app()))


async def get_attachment(call: Call) -> Any:
    return _shape(call, _attachment(call))


async def get_app_attachment(call: Call) -> Any:
    """Find an attachment by its name on an app, or by its id."""
    ref = call.path["attachment"]
    for one in call.world.attachments_on(call.app()):
        if ref in {one.id, one.name} and call.caller.may_see_addon(call.world, call.world.addons[one.addon_id]):
            return _shape(call, one)
    raise not_found("add-on attachment")


async def create_attachment(call: Call) -> Any:
    body = await call.body()
    addon = find_addon(call, required(reference_in(body, "addon"), "addon"))
    app = visible_app(call, required(reference_in(body, "app"), "app"))
    if body.get("namespace") or body.get("namespace_config"):
        raise invalid(f"{call.offer.name} has no credentials to choose from: an attachment of it has no namespace.")
    attachment = attaching.share(
        call.world, addon, app, text_in(body, "name"), confirm=text_in(body, "confirm"), by_email=call.email
    )
    return _shape(call, attachment)


async def delete_attachment(call: Call) -> Any:
    attachment = _attachment(call)
    if not call.caller.may_see_app(call.world, call.world.apps[attachment.app_id]):
        raise not_found("add-on attachment")
    shape = _shape(call, attachment)
    attaching.detach(call.world, attachment, by_email=call.email)
    return shape


async def get_credential(call: Call) -> Any:
    """Answer for a credential by name, of which this service has none."""
    find_addon(call, call.path["addon"])
    return []


def _attachment(call: Call) -> Attachment:
    attachment = call.world.attachments.get(call.path["attachment"])
    if attachment is None or not call.caller.may_see_addon(call.world, call.world.addons[attachment.addon_id]):
        raise not_found("add-on attachment")
    return attachment


def _shape(call: Call, attachment: Attachment) -> Shape:
    return attachment_shape(call.world, attachment, call.url, call.include)


def _shapes(call: Call, attachments: list[Attachment]) -> list[Shape]:
    world = call.world
    return [_shape(call, one) for one in attachments if call.caller.may_see_addon(world, world.addons[one.addon_id])]


ROUTES = [
    api("GET", "/addon-attachments", list_attachments, order=("id", "name")),
    api("POST", "/addon-attachments", create_attachment, status=201, is_for_people=True),
    api("GET", "/addon-attachments/{attachment}", get_attachment),
    api("DELETE", "/addon-attachments/{attachment}", delete_attachment, is_for_people=True),
    api("GET", "/addons/{addon}/addon-attachments", list_addon_attachments, order=("id", "name")),
    api("GET", "/addons/{addon}/config/credential:{credential}", get_credential, order=("name",)),
    api("GET", "/apps/{app}/addon-attachments", list_app_attachments, order=("id", "name")),
    api("GET", "/apps/{app}/addon-attachments/{attachment}", get_app_attachment),
]
