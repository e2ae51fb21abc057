"""Add-ons: installing, reading, changing and removing them, and the partner's two actions."""

from typing import Any

from app.simulator import apps
from app.simulator.errors import forbidden, invalid, not_found
from app.simulator.records import AddOn
from app.simulator.shapes import Shape, addon_shape
from app.simulator.verdicts import hint

from .addon_services import plan_name
from .call import Call, api
from .references import find_addon, reference_in, required, text_in


async def list_addons(call: Call) -> Any:
    return [_shape(call, one) for one in call.world.installed() if call.caller.may_see_addon(call.world, one)]


async def list_users_addons(call: Call) -> Any:
    """List what the caller may see; another person's add-ons are nobody's business."""
    who = call.path["user"]
    if who != "~" and apps.person(call.world, who) != call.caller.customer:
        raise forbidden("You can only list your own add-ons.")
    return await list_addons(call)


async def list_app_addons(call: Call) -> Any:
    """List the add-ons attached to the app, those of other apps too."""
    app, world = call.app(), call.world
    on_app = {one.addon_id for one in world.attachments_on(app)}
    return [one for one in await list_addons(call) if one["id"] in on_app]


async def get_addon(call: Call) -> Any:
    """Describe an add-on, also one that could not be created: who waits for it learns how it ended."""
    ref = call.path["addon"]
    if "::" in ref:
        return _shape(call, find_addon(call, ref))
    return _shape(call, _failed(call, ref) or call.addon())


async def create_addon(call: Call) -> Any:
    app, body = call.app(), await call.body()
    attachment = body.get("attachment") or {}
    if not isinstance(attachment, dict):
        raise invalid("attachment must be an object with a name.")
    addon = await call.known.calls.provision(
        app.id,
        plan_name(call.offer, required(reference_in(body, "plan"), "plan")),
        name=text_in(body, "name"),
        options=_options(body.get("config")),
        attachment=text_in(attachment, "name"),
        confirm=text_in(body, "confirm"),
        by_email=call.email,
    )
    if app.id not in call.world.apps:
        raise not_found("app")
    return _shape(call, addon)


async def change_addon(call: Call) -> Any:
    """Change the plan, the name or both; a name that cannot be is refused before the partner is asked."""
    addon, body = _billed_addon(call), await call.body()
    plan, name = reference_in(body, "plan"), text_in(body, "name")
    if plan is None and name is None:
        raise invalid("Nothing to change: the body needs a plan or a name.")
    if name is not None and name != addon.name:
        call.world.check_addon_name(name)
    if plan is not None:
        addon = await call.known.calls.change_plan(addon, plan_name(call.offer, plan), by_email=call.email)
    if name is not None:
        call.world.rename_addon(addon, name, by_email=call.email)
    return _shape(call, addon)


async def delete_addon(call: Call) -> Any:
    """Remove the add-on; one that other apps use is removed only when the body says `force`."""
    addon, body, world = _billed_addon(call), await call.body(), call.world
    others = [app.name for app in world.apps_of(addon) if app.id != addon.app_id]
    if others and body.get("force") is not True:
        # The CLI ends this message with a full stop of its own, here and after whatever else stops a removal.
        raise invalid(
            f"{addon.name} is attached to other apps too: {', '.join(others)}. Detach it there first, or force it"
        )
    await call.known.calls.deprovision(addon, by_email=call.email)
    if addon.app_id not in world.apps:
        raise not_found("app")
    return _shape(call, addon)


async def finish_provisioning(call: Call) -> Any:
    addon = call.own_addon()
    if addon.state == "provisioned":
        call.request.state.findings.append(hint("The add-on was provisioned already."))
    call.world.mark_provisioned(addon, by_email=call.email)
    return _shape(call, addon)


async def give_up_provisioning(call: Call) -> Any:
    """Let the partner say that an add-on will not come to be; its token dies with this call."""
    addon = call.own_addon()
    if addon.state != "provisioning":
        raise invalid("Only an add-on that is still being provisioned can be marked as deprovisioned.")
    call.world.remove(addon, "the add-on's partner could not create it.", has_failed=True, by_email=call.email)
    return _shape(call, addon)


def _shape(call: Call, addon: AddOn) -> Shape:
    return addon_shape(call.world, addon, call.url, call.expand)


def _billed_addon(call: Call) -> AddOn:
    """Return the path's add-on, which an app that merely has it attached may not change."""
    addon, app = call.addon(), call.app()
    if addon.app_id != app.id:
        owner = call.world.apps[addon.app_id]
        raise forbidden(f"{addon.name} is billed to the app {owner.name}: only there it can be changed.")
    return addon


def _failed(call: Call, ref: str) -> AddOn | None:
    """Find an add-on whose provisioning failed, by a name that nothing installed has, on an app of the caller's."""
    world, app = call.world, call.app() if "app" in call.path else None
    if call.caller.addon is not None:  # whose own token ends with it
        return None
    if any(ref in {one.id, one.name} for one in world.installed()):
        return None
    failed = [one for one in world.addons.values() if one.failed_at is not None and ref in {one.id, one.name}]
    for one in reversed(failed):
        owner = world.apps.get(one.app_id)
        if owner is not None and app in (None, owner) and call.caller.may_see_app(world, owner):
            return one
    return None


def _options(config: Any) -> dict[str, str | bool]:
    """Read the customer's options; a switch arrives as `true`."""
    if config is None:
        return {}
    if not isinstance(config, dict) or not all(isinstance(value, str | bool) for value in config.values()):
        raise invalid("config must be an object of names and values that are strings or true.")
    return config


ROUTES = [
    api("GET", "/addons", list_addons, order=("id", "name")),
    api("GET", "/addons/{addon}", get_addon),
    api("POST", "/addons/{addon}/actions/provision", finish_provisioning),
    api("POST", "/addons/{addon}/actions/deprovision", give_up_provisioning),
    api("GET", "/users/{user}/addons", list_users_addons, order=("id", "name")),
    api("GET", "/apps/{app}/addons", list_app_addons, order=("id", "name")),
    api("POST", "/apps/{app}/addons", create_addon, status=201, is_for_people=True),
    api("GET", "/apps/{app}/addons/{addon}", get_addon),
    api("PATCH", "/apps/{app}/addons/{addon}", change_addon, is_for_people=True),
    api("DELETE", "/apps/{app}/addons/{addon}", delete_addon, is_for_people=True),
]
