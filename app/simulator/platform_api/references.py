"""How requests name things: as text or as an object with an id or a name, in a body or in a path."""

from typing import Any

from app.simulator.errors import invalid, not_found
from app.simulator.records import AddOn, App, Attachment
from app.simulator.resolving import addons_meant, attachments_meant, only

from .call import Call


def text_in(body: dict[str, Any], key: str) -> str | None:
    """Return a text field of a body; what is absent, null or empty is None."""
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise invalid(f"{key} must be a string.")
    return value or None


def reference_in(body: dict[str, Any], key: str) -> str | None:
    """Return the id or name by which a body means a thing: `"x"`, `{"name": "x"}` or `{"id": "x"}`."""
    value = body.get(key)
    if not isinstance(value, dict):
        return text_in(body, key)
    return text_in(value, "id") or text_in(value, "name")


def required(value: str | None, key: str) -> str:
    if value is None:
        raise invalid(f"The parameter {key} is missing.")
    return value


def visible_app(call: Call, ref: str) -> App:
    """Find an app by id or name; one that is not the caller's is not found."""
    app = call.world.app(ref)
    if not call.caller.may_see_app(call.world, app):
        raise not_found("app")
    return app


def find_addon(call: Call, ref: str, app: App | None = None) -> AddOn:
    """Find the one add-on that a customer's word means; `app::NAME` names the app and then the attachment."""
    app, name = _split(call, ref, app)
    found = addons_meant(call.world, name, app, lambda addon: call.caller.may_see_addon(call.world, addon))
    return only(found, "add-on", lambda addon: addon.name)


def find_attachment(call: Call, ref: str, app: App | None = None) -> Attachment:
    """Find the one attachment that a customer's word means, as `find_addon` does."""
    app, name = _split(call, ref, app)
    found = attachments_meant(call.world, name, app, lambda addon: call.caller.may_see_addon(call.world, addon))
    return only(found, "add-on attachment", lambda one: f"{call.world.apps[one.app_id].name}::{one.name}")


def _split(call: Call, ref: str, app: App | None) -> tuple[App | None, str]:
    app_ref, colons, name = ref.rpartition("::")
    return (visible_app(call, app_ref), name) if colons else (app, ref)
